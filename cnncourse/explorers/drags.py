"""Dragging on an explorer's picture, with mouse, finger or pen."""

import anywidget
import traitlets


class Drags(anywidget.AnyWidget):
    """Where a pointer pressed on a region of the explorer's picture is now, until it is let go.

    Both in shares of the picture's width and height: region is (left, top, right, bottom), and `at`
    is (x, y, time), beyond 0 and 1 where the pointer has left the picture. A finger scrolls the
    page from everywhere but the region.
    """

    _esm = """
    function render({ model, el }) {
      el.style.display = "none";
      const listening = new AbortController();
      requestAnimationFrame(() => {
        const explorer = el.closest(".cnncourse-explorer");
        if (!explorer) return;
        const [left, top, right, bottom] = model.get("region");
        const place = (event) => {  // each move brings a new picture: look for it again
          const box = explorer.querySelector("img").getBoundingClientRect();
          return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
        };
        const grips = (event) => {
          if (event.target.tagName !== "IMG") return false;
          const [x, y] = place(event.touches?.[0] ?? event);
          return x >= left && x <= right && y >= top && y <= bottom;
        };
        const send = (event) => {  // the newest goes, once the last was answered
          model.set("at", [...place(event), event.timeStamp]);
          model.save_changes();
        };
        let pointer = null;
        const on = (kind, act) => explorer.addEventListener(
          kind, act, { signal: listening.signal, passive: false });
        on("pointerdown", (event) => {
          if (event.button !== 0 || pointer !== null || !grips(event)) return;
          pointer = event.pointerId;
          explorer.setPointerCapture(pointer);  // the picture itself will be replaced
          send(event);
        });
        on("pointermove", (event) => {
          if (event.pointerId === pointer) send(event);
          else explorer.style.cursor = grips(event) ? "move" : "";
        });
        for (const end of ["pointerup", "pointercancel"]) {
          on(end, (event) => { if (event.pointerId === pointer) pointer = null; });
        }
        for (const habit of ["dragstart", "touchstart"]) {  // a ghost of the picture, scrolling
          on(habit, (event) => { if (grips(event)) event.preventDefault(); });
        }
      });
      return () => listening.abort();
    }
    export default { render };
    """
    region: list = traitlets.List([0.0, 0.0, 1.0, 1.0]).tag(sync=True)  # type: ignore[assignment]
    at: list = traitlets.List().tag(sync=True)  # type: ignore[assignment]
