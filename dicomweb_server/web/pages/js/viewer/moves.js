// What keys do to a pane beyond its own verbs; called with the viewer as `this`.
export const MOVES = {
  previous: (pane) => pane.step(-1),
  next: (pane) => pane.step(1),
  back10: (pane) => pane.step(-10),
  on10: (pane) => pane.step(10),
  first: (pane) => pane.goTo(0),
  last: (pane) => pane.goTo(Infinity),
  phaseBack: (pane) => pane.current?.phases.length > 1 && pane.setPhase(pane.phase - 1),
  phaseOn: (pane) => pane.current?.phases.length > 1 && pane.setPhase(pane.phase + 1),
  along(pane) {
    if (pane.current?.phases.length > 1 && pane.current.phases[0].length > 1) this.setAlong(pane, pane.along === 'slices' ? 'phases' : 'slices');
  },
  brighter: (pane) => pane.contrast.nudge(0, -8),
  darker: (pane) => pane.contrast.nudge(0, 8),
  moreContrast: (pane) => pane.contrast.nudge(-8, 0),
  lessContrast: (pane) => pane.contrast.nudge(8, 0),
  zoomIn: (pane) => pane.zoom(1.25),
  zoomOut: (pane) => pane.zoom(0.8),
  point: (pane) => pane.lengths.point(),
  unmeasure: (pane) => pane.lengths.undo(),
  panUp: (pane) => pane.move(0, 40),
  panDown: (pane) => pane.move(0, -40),
  panLeft: (pane) => pane.move(40, 0),
  panRight: (pane) => pane.move(-40, 0),
};
