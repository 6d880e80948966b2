// Draws the charts of the page with uPlot from the data in it. What is drawn was decided where the data were written.
"use strict";
(() => {
  const { charts, colours } = JSON.parse(document.getElementById("data").textContent);
  const steps = {
    plain: [[1, ""]],
    micros: [[1e6, " s"], [1e3, " ms"], [1, " µs"], [1e-3, " ns"]],
    count: [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]],
    bytes: [[1e9, " GB"], [1e6, " MB"], [1e3, " kB"], [1, " B"]],
  };
  const say = (unit, value) => {
    const all = steps[unit];
    const usual = all.find((step) => step[0] === 1);
    const step = value === 0 ? usual : all.find((step) => Math.abs(value) * 1.0005 >= step[0]) || all[all.length - 1];
    const number = value / step[0];
    return (Math.abs(number) >= 1000 ? Math.round(number) : Number(number.toPrecision(3))) + step[1];
  };
  // Where 1 / (1 - percentile) stands.
  const percentile = (x) => {
    const digits = Math.max(0, Math.ceil(Math.log10(x)) - 1) + (x >= 2 ? 1 : 0);
    return x <= 1 ? "min" : "p" + Number((100 * (1 - 1 / x)).toFixed(digits));
  };
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Lines have times of their own. What only another line has is `undefined` and drawn over; a gap is null.
  const table = (chart) => uPlot.join(chart.lines.map((line) => [
    line.points.map((point) => point[0]),
    line.points.map((point) => (chart.y.logarithmic && point[1] !== null && point[1] <= 0 ? 1e-3 : point[1])),
  ]));
  const nearest = (u, series, at) => {
    const values = u.data[series];
    if (series === 0 || values[at] !== undefined) return at;
    let [left, right] = [at, at];
    while (left > 0 && values[left] === undefined) left--;
    while (right < values.length - 1 && values[right] === undefined) right++;
    const far = (i) => (values[i] === undefined ? Infinity : Math.abs(u.data[0][i] - u.data[0][at]));
    return far(left) <= far(right) ? left : right;
  };

  const options = (chart, width) => {
    const marks = new Map(chart.x.marks);
    const [ink, line] = [style("--ink"), style("--line")];
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const x = { ...axis, label: chart.x.title, labelSize: 20, size: 34 };
    if (marks.size > 0) {
      x.splits = (u, _, min, max) => {
        const inside = [...marks.keys()].filter((at) => at >= min && at <= max);
        if (inside.length > 1) return inside;
        return [0, 1, 2, 3, 4].map((part) => min * (max / min) ** (part / 4));
      };
      x.filter = (u, splits) => splits;
      x.values = (u, splits) => splits.map((at) => marks.get(at) || percentile(at));
    } else {
      x.values = (u, splits) => splits.map((at) => say(chart.x.unit, at));
    }
    const y = {
      ...axis,
      label: chart.y.title || undefined,
      labelSize: 20,
      size: 64,
      values: (u, splits) => splits.map((at) => (at === null ? "" : say(chart.y.unit, at))),
    };
    const series = chart.lines.map((line) => {
      const stroke = colours[line.colour % colours.length];
      const points = { size: 7, fill: stroke, show: marks.size > 0 && !line.dashed };
      if (marks.size > 0) {
        points.filter = (u, _, show) => (show ? u.data[0].flatMap((at, i) => (marks.has(at) ? [i] : [])) : null);
      } else {
        // A value between two gaps would not be seen otherwise.
        delete points.show;
      }
      return {
        label: line.name, stroke, width: 1.8, dash: line.dashed ? [5, 4] : undefined, points,
        value: (u, value) => {
          if (value === null || value === undefined) return "–";
          return (line.at_least !== null && value >= line.at_least * 0.999 ? ">" : "") + say(chart.y.unit, value);
        },
      };
    });
    return {
      width, height: 320,
      scales: {
        x: { time: false, distr: chart.x.logarithmic ? 3 : 1, range: (u, min, max) => [min, max > min ? max : min + 1] },
        y: chart.y.logarithmic
          ? { distr: 3, range: (u, min, max) => uPlot.rangeLog(min, max, 10, false) }
          : { range: (u, min, max) => [0, max > 0 ? max * 1.05 : 1] },
      },
      axes: [x, y],
      cursor: { dataIdx: nearest, focus: { prox: 24 }, drag: { x: true, y: false } },
      focus: { alpha: 0.4 },
      series: [{
        label: marks.size > 0 ? "percentile" : chart.x.title.split(" ")[0],
        value: (u, at) => (at === null || at === undefined ? "–" : marks.size > 0 ? percentile(at) : say(chart.x.unit, at)),
      }, ...series],
    };
  };

  const drawn = new Map();
  const draw = (place) => {
    if (drawn.has(place)) drawn.get(place).destroy();
    const chart = charts[Number(place.dataset.chart)];
    drawn.set(place, new uPlot(options(chart, place.clientWidth), table(chart), place));
  };
  const places = document.querySelectorAll("[data-chart]");
  places.forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => places.forEach(draw));
  addEventListener("resize", () => drawn.forEach((plot, place) => plot.setSize({ width: place.clientWidth, height: 320 })));
})();
