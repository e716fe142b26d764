"""Clicks on an explorer's picture, for those who would rather point than move a slider."""

import anywidget
import traitlets


class Clicks(anywidget.AnyWidget):
    """Where the explorer's picture was clicked, in shares of its width and height."""

    _esm = """
    function render({ model, el }) {
      el.style.display = "none";
      requestAnimationFrame(() => {
        const explorer = el.closest(".cnncourse-explorer");
        if (!explorer) return;
        explorer.addEventListener("click", (event) => {
          if (event.target.tagName !== "IMG") return;
          const box = event.target.getBoundingClientRect();
          const share = [(event.clientX - box.left) / box.width,
                         (event.clientY - box.top) / box.height];
          model.set("at", [...share, event.timeStamp]);
          model.save_changes();
        });
      });
    }
    export default { render };
    """
    at: list = traitlets.List().tag(sync=True)  # type: ignore[assignment]
