// The meteogram: panels over one time axis, as SVG.
const svgNode = (name, attributes, text) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
};
const niceStep = (range, pieces) => {
  const rough = range / pieces, power = Math.pow(10, Math.floor(Math.log10(rough)));
  return power * [1, 2, 5, 10].find((m) => m * power >= rough * 0.999);
};

class Meteogram {
  // panels: [{title, name, unit, style, values, corrected, uncertainty, direction}], values in SI, [time]
  constructor(box, times, panels, choose) {
    this.times = times;
    const width = Math.max(340, Math.min(1040, box.clientWidth || 1040)), height = 150, top = 8, axis = 34;
    this.left = 46; this.right = width - 12;
    const svg = svgNode('svg', {viewBox: `0 0 ${width} ${panels.length * height + top + axis}`, role: 'img',
      'aria-label': 'Meteogram: ' + panels.map((p) => p.title).join(', ')});
    const first = times[0].getTime(), last = times[times.length - 1].getTime();
    this.x = (k) => this.left + (this.right - this.left) * (times[k].getTime() - first) / Math.max(last - first, 1);
    panels.forEach((panel, index) => this.draw(svg, panel, top + index * height, height));
    const bottom = top + panels.length * height;
    this.timeAxis(svg, first, last, top, bottom);
    this.cursor = svgNode('line', {class: 'cursor', y1: top, y2: bottom});
    svg.append(this.cursor);
    svg.addEventListener('click', (event) => {
      const at = (event.clientX - svg.getBoundingClientRect().left) / svg.getBoundingClientRect().width * width;
      let best = 0;
      times.forEach((_, k) => { if (Math.abs(this.x(k) - at) < Math.abs(this.x(best) - at)) best = k; });
      choose(best);
    });
    box.replaceChildren(svg);
  }
  draw(svg, panel, top, height) {
    const s = shown(panel.unit, panel.name), inner = {top: top + (panel.direction ? 58 : 24), bottom: top + height - 12};
    const of = (list) => (list || []).map((v) => v === null || v === undefined ? null : s.of(v));
    const values = of(panel.values), corrected = of(panel.corrected), scale = s.of(1) - s.of(0);
    const spread = (panel.uncertainty || []).map((v) => v === null ? null : v * scale);
    const all = values.concat(corrected, corrected.flatMap((v, k) => spread[k] ? [v - 2 * spread[k], v + 2 * spread[k]] : []))
      .filter((v) => v !== null);
    let least = Math.min(...all), most = Math.max(...all);
    if (panel.fromZero) least = Math.min(0, least);
    if (most - least < 2) { const middle = (most + least) / 2; least = panel.fromZero ? 0 : middle - 1; most = Math.max(middle + 1, least + 2); }
    const step = niceStep(most - least, panel.direction ? 2.5 : 4);
    least = Math.floor(least / step) * step; most = Math.ceil(most / step) * step;
    const y = (v) => inner.bottom - (inner.bottom - inner.top) * (v - least) / (most - least);
    for (let v = least; v <= most + step / 2; v += step) {
      svg.append(svgNode('line', {class: 'grid', x1: this.left, x2: this.right, y1: y(v), y2: y(v)}));
      svg.append(svgNode('text', {x: this.left - 8, y: y(v) + 4, 'text-anchor': 'end'}, String(Math.round(v * 100) / 100)));
    }
    svg.append(svgNode('text', {class: 'name', x: this.left, y: top + 14}, `${panel.title}${s.unit ? ', ' + s.unit : ''}`));
    if (spread.some((v) => v)) {
      const known = corrected.map((_, k) => k).filter((k) => spread[k]);
      const edge = known.map((k) => `${this.x(k)},${y(corrected[k] + 2 * spread[k])}`)
        .concat(known.reverse().map((k) => `${this.x(k)},${y(corrected[k] - 2 * spread[k])}`));
      svg.append(svgNode('polygon', {class: 'band', points: edge.join(' ')}));
    }
    const path = (list) => list.map((v, k) => v === null ? '' : `${k === 0 || list[k - 1] === null ? 'M' : 'L'}${this.x(k).toFixed(1)} ${y(v).toFixed(1)}`).join('');
    if (corrected.length) {
      svg.append(svgNode('path', {class: `curve raw plain`, d: path(values)}));
      svg.append(svgNode('path', {class: `curve corrected ${panel.style}`, d: path(corrected)}));
    } else {
      svg.append(svgNode('path', {class: `curve ${panel.style}`, d: path(values)}));
    }
    if (panel.direction) this.barbs(svg, panel, inner.top - 19);
  }
  // WMO wind barbs in knots: pennant 50, long 10, short 5; the shaft points to where the wind comes from.
  barbs(svg, panel, y) {
    const stride = Math.max(1, Math.ceil(this.times.length * 26 / (this.right - this.left)));
    panel.direction.forEach((from, k) => {
      if (k % stride || from === null) return;
      let left = Math.round(panel.values[k] * 1.94384 / 5) * 5, at = -16, d = left < 5 ? 'M-2 0a2 2 0 1 0 4 0a2 2 0 1 0 -4 0' : 'M0 0V-16';
      for (; left >= 50; left -= 50) { d += `M0 ${at}L6 ${at + 2}L0 ${at + 4}`; at += 5; }
      for (; left >= 10; left -= 10) { d += `M0 ${at}L6 ${at - 3}`; at += 3; }
      if (left >= 5) d += `M0 ${at === -16 ? -13 : at}l3 -1.5`;
      svg.append(svgNode('path', {class: 'barb', d, transform: `translate(${this.x(k).toFixed(1)} ${y}) rotate(${from.toFixed(0)})`}));
    });
  }
  timeAxis(svg, first, last, top, bottom) {
    const days = (last - first) / 864e5, room = (this.right - this.left) / Math.max(days, 0.25);
    const every = room > 260 ? 3 : room > 130 ? 6 : room > 70 ? 12 : 24;
    for (let t = Math.ceil(first / 36e5) * 36e5; t <= last; t += 36e5) {
      const time = new Date(t), x = this.left + (this.right - this.left) * (t - first) / Math.max(last - first, 1);
      if (time.getHours() % every) continue;
      const midnight = time.getHours() === 0;
      svg.append(svgNode('line', {class: midnight ? 'midnight' : 'grid', x1: x, x2: x, y1: top + 20, y2: bottom - 12}));
      svg.append(svgNode('text', {x, y: bottom + 4, 'text-anchor': 'middle'}, String(time.getHours()).padStart(2, '0')));
      if (midnight && x < this.right - 30) svg.append(svgNode('text', {class: 'name', x: x + 4, y: bottom + 22},
        time.toLocaleDateString(undefined, room > 90 ? {weekday: 'short', day: 'numeric', month: 'short'} : {weekday: 'short'})));
    }
  }
  point(k) {
    this.cursor.setAttribute('x1', this.x(k));
    this.cursor.setAttribute('x2', this.x(k));
  }
}
