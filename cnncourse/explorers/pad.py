"""A pad to draw on, with mouse, finger or pen."""

import anywidget
import numpy as np
import traitlets

SIDE_PX = 140  # of the pad's pixels; on the page it is twice as large
PEN_PX = 11  # about as thick, at the size of a digit, as MNIST's strokes


class Pad(anywidget.AnyWidget):
    """White ink on a black square pad; `pixels` has one byte a pixel, row by row, 255 for ink.

    The browser sends what is drawn while it is drawn, and shows what Python sets. Each stroke, and
    each picture that Python set, can be undone.
    """

    # Not Bytes: the browser sends a view of memory, which only CBytes takes. No echo: the browser
    # knows what it has drawn.
    pixels = traitlets.CBytes(bytes(SIDE_PX**2)).tag(sync=True, echo_update=False)
    side_px = traitlets.Int(SIDE_PX).tag(sync=True)
    pen_px = traitlets.Int(PEN_PX).tag(sync=True)

    _esm = """
    function render({ model, el }) {
      const side = model.get("side_px"), before = [];
      el.classList.add("cnncourse-pad");
      const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", "pad: draw a digit with mouse, finger or pen");
      const pen = canvas.getContext("2d", { willReadFrequently: true });
      Object.assign(pen, { lineWidth: model.get("pen_px"), lineCap: "round", lineJoin: "round" });
      pen.strokeStyle = "white";
      const inked = () => pen.getImageData(0, 0, side, side);
      const send = () => {  // the widget manager sends the newest, once the last was answered
        const bytes = new Uint8Array(side * side), { data } = inked();
        for (let i = 0; i < bytes.length; i++) bytes[i] = data[4 * i];
        model.set("pixels", new DataView(bytes.buffer));
        model.save_changes();
      };
      const show = () => {  // what Python has set
        const view = model.get("pixels"), picture = pen.createImageData(side, side);
        for (let i = 0; i < side * side; i++) {
          const value = i < view.byteLength ? view.getUint8(i) : 0;
          picture.data.set([value, value, value, 255], 4 * i);
        }
        pen.putImageData(picture, 0, 0);
      };
      let drawing = null, sending = false;
      const at = (event) => {
        const box = canvas.getBoundingClientRect(), scale = side / box.width;
        return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      };
      const draw = (event) => {
        const events = event.getCoalescedEvents?.() ?? [];
        for (const step of events.length ? events : [event]) {
          const next = at(step);
          pen.beginPath(); pen.moveTo(...drawing); pen.lineTo(...next); pen.stroke();
          drawing = next;
        }
        sending = true; send(); sending = false;
      };
      canvas.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        canvas.setPointerCapture(event.pointerId);
        before.push(inked());
        drawing = at(event);
        draw(event);
        event.preventDefault();
      });
      canvas.addEventListener("pointermove", (event) => { if (drawing) draw(event); });
      for (const end of ["pointerup", "pointercancel"]) {
        canvas.addEventListener(end, () => { drawing = null; });
      }
      const button = (name, act) => {
        const made = Object.assign(document.createElement("button"), { textContent: name });
        made.className = "jupyter-widgets jupyter-button widget-button";
        made.type = "button";
        made.addEventListener("click", () => { act(); sending = true; send(); sending = false; });
        return made;
      };
      const clear = button("clear", () => {
        before.push(inked()); pen.fillStyle = "black"; pen.fillRect(0, 0, side, side);
      });
      const undo = button("undo", () => {
        if (before.length) pen.putImageData(before.pop(), 0, 0);
      });
      const changed = () => { if (!sending) { before.push(inked()); show(); } };
      model.on("change:pixels", changed);
      show();
      el.append(canvas, clear, undo);
      return () => model.off("change:pixels", changed);
    }
    export default { render };
    """
    _css = """
    .cnncourse-pad { display: flex; flex-flow: row wrap; gap: 4px; width: 280px; }
    .cnncourse-pad canvas { width: 276px; height: 276px; border: 2px solid #888888;
      touch-action: none; cursor: crosshair; }
    .cnncourse-pad button { width: 134px; }
    .cnncourse-explorer button:focus-visible { outline: 2px solid #0072B2; outline-offset: 1px; }
    """

    @property
    def ink(self) -> np.ndarray:
        """What is drawn, (SIDE_PX, SIDE_PX) from 0 to 1; an empty pad where bytes are missing."""
        values = np.frombuffer(self.pixels, np.uint8)
        if values.size != SIDE_PX**2:
            return np.zeros((SIDE_PX, SIDE_PX))
        return values.reshape(SIDE_PX, SIDE_PX) / 255

    @ink.setter
    def ink(self, ink: np.ndarray) -> None:
        self.pixels = (255 * ink).round().astype(np.uint8).tobytes()
