// Mouse, pen, fingers and wheel on the image area of a pane.

const TRACKPAD = 40; // CSS pixels of scrolling for one slice; a notch of a wheel is one, too

// `tool()` names what the main button or one finger does: scroll, window, zoom, pan or measure.
export function listen(stage, pane, tool) {
  const pointers = new Map(); // id → {x, y}
  let drag = null; // {kind, rest}: `rest` of a slice that was not enough for one yet
  let rolled = 0;

  const middle = ({ clientX, clientY }) => {
    const box = stage.getBoundingClientRect();
    return [clientX - box.left - box.width / 2, clientY - box.top - box.height / 2];
  };

  stage.addEventListener('pointerdown', (event) => {
    if (event.target.closest('button, a, input, select, iframe, video')) return;
    if (event.pointerType === 'mouse' && pointers.size) return;
    pane.activate();
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    finish();
    if (pointers.size === 1) {
      const kind = ['', 'pan', 'window'][event.button] || (event.ctrlKey ? 'zoom' : tool());
      drag = { kind, rest: 0, at: middle(event) };
      if (kind === 'window') pane.contrast.begin();
      if (kind === 'measure') pane.lengths.begin(drag.at);
    }
    if (event.button === 1) event.preventDefault(); // the browser's own scrolling
  });

  stage.addEventListener('pointermove', (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before.x, event.clientY - before.y];
    if (pointers.size === 2) pinch(event, before);
    else if (drag) draggers[drag.kind](dx, dy, event);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });

  const draggers = {
    scroll(dx, dy) {
      const length = pane.length();
      if (length < 2) return pane.move(dx, dy);
      const each = Math.min(24, Math.max(3, (stage.clientHeight * 0.8) / length));
      drag.rest += dy;
      const steps = Math.trunc(drag.rest / each);
      drag.rest -= steps * each;
      if (steps) pane.step(steps);
    },
    window: (dx, dy) => pane.contrast.drag(dx, dy),
    zoom: (dx, dy) => pane.zoom(Math.exp((dx - dy) / 150), drag.at),
    pan: (dx, dy) => pane.move(dx, dy),
    measure: (dx, dy, event) => pane.lengths.drag(middle(event)),
  };

  function pinch(event, before) {
    const [, other] = [...pointers].find(([id]) => id !== event.pointerId);
    const now = { x: event.clientX, y: event.clientY };
    const apart = (point) => Math.max(20, Math.hypot(point.x - other.x, point.y - other.y));
    const centre = middle({ clientX: (now.x + other.x) / 2, clientY: (now.y + other.y) / 2 });
    pane.move((now.x - before.x) / 2, (now.y - before.y) / 2);
    pane.zoom(apart(now) / apart(before), centre);
  }

  function finish() {
    if (drag?.kind === 'window') pane.contrast.end();
    if (drag?.kind === 'measure') pane.lengths.end();
    drag = null;
  }

  for (const kind of ['pointerup', 'pointercancel', 'lostpointercapture']) {
    stage.addEventListener(kind, (event) => {
      if (pointers.delete(event.pointerId)) finish();
    });
  }

  stage.addEventListener(
    'wheel',
    (event) => {
      if (event.target.closest('iframe, video, .v-document')) return;
      event.preventDefault();
      pane.activate();
      if (event.ctrlKey || event.metaKey || pane.length() < 2) {
        pane.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), middle(event));
        return;
      }
      const notch = event.deltaMode || Math.abs(event.deltaY) >= 80;
      rolled = notch ? Math.sign(event.deltaY) : rolled + event.deltaY / TRACKPAD;
      const steps = Math.trunc(rolled);
      rolled -= steps;
      if (steps) pane.step(steps);
    },
    { passive: false },
  );

  stage.addEventListener('contextmenu', (event) => event.preventDefault());
  stage.addEventListener('dblclick', () => pane.fit());
}
