// The map: one field as colours with lines of equal value; latitude and longitude true to scale at the middle, or the
// plane of the grid's projection, with the lines that the station gives as rows and columns of its cells.
const unpack = (field) => {
  const bytes = atob(field.uint16), values = new Float32Array(bytes.length / 2);
  for (let i = 0; i < values.length; i++)
    values[i] = field.offset + field.scale * (bytes.charCodeAt(2 * i) + 256 * bytes.charCodeAt(2 * i + 1));
  return values;
};

class FieldMap {
  constructor(canvas, station, lines) { this.canvas = canvas; this.station = station; this.coast = lines.segments; this.plane = lines.plane; }
  draw(field, least, most) {
    const values = unpack(field), plane = field.projection !== undefined, columns = field.columns;
    const rows = plane ? field.rows : field.latitudes.length;
    const north = plane ? 0 : field.latitudes[0], south = plane ? 1 - rows : field.latitudes[rows - 1];
    const width = plane ? columns - 1 : (columns - 1) * field.longitude_step;
    const stretch = plane ? 1 : Math.cos((north + south) / 2 * Math.PI / 180);
    const ratio = Math.min(Math.max((north - south) / Math.max(width * stretch, 1e-6), 0.4), 1.1);
    const frame = this.canvas.parentElement.clientWidth || 800, box = Math.min(frame, 620 / ratio), dense = Math.min(window.devicePixelRatio || 1, 2);
    const w = Math.round(box * dense), h = Math.round(box * ratio * dense);
    this.canvas.width = w; this.canvas.height = h;
    this.canvas.style.width = `${Math.round(box)}px`;
    const context = this.canvas.getContext('2d'), ramp = rampOf(field), image = context.createImageData(w, h);
    const rowAt = new Float32Array(h);
    for (let y = 0, i = 0; y < h; y++) {
      const latitude = north - (north - south) * y / (h - 1);
      if (plane) { rowAt[y] = -latitude; continue; }
      while (i < rows - 2 && field.latitudes[i + 1] > latitude) i++;
      rowAt[y] = i + (field.latitudes[i] - latitude) / (field.latitudes[i] - field.latitudes[i + 1]);
    }
    const at = (row, column) => {
      const i = Math.min(Math.max(Math.floor(row), 0), rows - 2), j = Math.min(Math.max(Math.floor(column), 0), columns - 2);
      const a = row - i, b = column - j, k = i * columns + j;
      return (1 - a) * ((1 - b) * values[k] + b * values[k + 1]) + a * ((1 - b) * values[k + columns] + b * values[k + columns + 1]);
    };
    const range = Math.max(most - least, 1e-12), step = niceStep(range, 9);
    const table = Array.from({length: 256}, (_, k) => colour(ramp, k / 255));
    let above = new Int32Array(w), here = new Int32Array(w);
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        const value = at(rowAt[y], (columns - 1) * x / (w - 1)), share = (value - least) / range;
        here[x] = Math.floor(value / step);
        const line = (x > 0 && here[x] !== here[x - 1]) || (y > 0 && here[x] !== above[x]);
        const rgb = table[Math.round(Math.min(Math.max(share, 0), 1) * 255)], p = 4 * (y * w + x), dim = line ? 0.72 : 1;
        image.data[p] = rgb[0] * dim; image.data[p + 1] = rgb[1] * dim; image.data[p + 2] = rgb[2] * dim; image.data[p + 3] = 255;
      }
      [above, here] = [here, above];
    }
    context.putImageData(image, 0, 0);
    if (plane) this.planeLines(context, w, h, dense);
    else {
      this.shore(context, w, h, dense, north, south, field.longitude_first, width);
      this.graticule(context, w, h, dense, north, south, field.longitude_first, width);
      this.mark(context, w, h, dense, north, south, field.longitude_first, width);
    }
    this.canvas.dataset.drawn = `${field.variable} ${field.lead_hours}`;
  }
  planeLines(context, w, h, dense) {
    const x = (column) => column / (this.plane.columns - 1) * w, y = (row) => row / (this.plane.rows - 1) * h;
    const {coast, graticule, station} = this.plane;
    context.beginPath();
    for (let k = 0; k < coast.length; k += 4) { context.moveTo(x(coast[k + 1]), y(coast[k])); context.lineTo(x(coast[k + 3]), y(coast[k + 2])); }
    this.strokeShore(context, dense, coast.length / 4);
    context.lineWidth = dense; context.strokeStyle = '#00000040'; context.font = `${11 * dense}px system-ui, sans-serif`;
    for (const line of graticule) {
      const p = line.points;
      context.beginPath();
      for (let k = 0; k < p.length; k += 2) context[k ? 'lineTo' : 'moveTo'](x(p[k + 1]), y(p[k]));
      context.stroke();
    }
    const bounds = (v, most) => Math.min(Math.max(v, 14 * dense), most - 34 * dense);
    for (const {degrees, parallel, points} of graticule) {
      // Parallels are named where they enter on the left, meridians where they leave below.
      const k = parallel === (points[1] <= points[points.length - 1]) ? 0 : (parallel || points[0] < points[points.length - 2]) ? points.length - 2 : 0;
      const letter = parallel ? (degrees < 0 ? 'S' : 'N') : (degrees < 0 ? 'W' : 'E');
      this.label(context, dense, `${Math.abs(Math.round(degrees * 10) / 10)}°${letter}`, bounds(x(points[k + 1]) + 3 * dense, w), bounds(y(points[k]) - 3 * dense, h + 29 * dense));
    }
    this.canvas.dataset.graticule = String(graticule.length);
    if (station.length) this.markAt(context, dense, x(station[1]), y(station[0]));
  }
  label(context, dense, text, x, y) {
    context.lineWidth = 3 * dense; context.strokeStyle = '#ffffffb0'; context.strokeText(text, x, y);
    context.fillStyle = '#14212e'; context.fillText(text, x, y);
    context.strokeStyle = '#00000040'; context.lineWidth = dense;
  }
  strokeShore(context, dense, pieces) {
    context.lineJoin = context.lineCap = 'round';
    context.lineWidth = 2.6 * dense; context.strokeStyle = '#ffffff90'; context.stroke();
    context.lineWidth = 1.4 * dense; context.strokeStyle = '#14212e'; context.stroke();
    this.canvas.dataset.coast = String(pieces);
  }
  shore(context, w, h, dense, north, south, west, width) {
    const x = (longitude) => (((longitude - west) % 360 + 360) % 360) / width * w, y = (latitude) => (north - latitude) / (north - south) * h;
    context.beginPath();
    for (const [a, b, c, d] of this.coast) {
      if (Math.abs(x(b) - x(d)) > w / 2) continue;  // across the map's edge
      context.moveTo(x(b), y(a)); context.lineTo(x(d), y(c));
    }
    this.strokeShore(context, dense, this.coast.length);
  }
  graticule(context, w, h, dense, north, south, west, width) {
    const step = niceStep(Math.max(width, north - south), 6);
    context.strokeStyle = '#00000040'; context.lineWidth = dense; context.font = `${11 * dense}px system-ui, sans-serif`;
    const label = (text, x, y) => this.label(context, dense, text, x, y);
    for (let v = Math.ceil(south / step) * step; v <= north; v += step) {
      const y = (north - v) / (north - south) * h;
      context.beginPath(); context.moveTo(0, y); context.lineTo(w, y); context.stroke();
      label(`${Math.abs(Math.round(v * 10) / 10)}°${v < 0 ? 'S' : 'N'}`, 4 * dense, y - 3 * dense);
    }
    for (let v = Math.ceil(west / step) * step; v <= west + width; v += step) {
      const x = (v - west) / width * w, east = ((v + 540) % 360) - 180;
      context.beginPath(); context.moveTo(x, 0); context.lineTo(x, h); context.stroke();
      label(`${Math.abs(Math.round(east * 10) / 10)}°${east < 0 ? 'W' : 'E'}`, x + 3 * dense, h - 5 * dense);
    }
  }
  mark(context, w, h, dense, north, south, west, width) {
    const east = ((this.station.longitude - west) % 360 + 360) % 360;
    this.markAt(context, dense, east / width * w, (north - this.station.latitude) / (north - south) * h);
  }
  markAt(context, dense, x, y) {
    context.beginPath(); context.arc(x, y, 6 * dense, 0, 2 * Math.PI);
    context.fillStyle = '#ffffff'; context.fill(); context.lineWidth = 3 * dense; context.strokeStyle = '#14212e'; context.stroke();
    context.font = `600 ${13 * dense}px system-ui, sans-serif`;
    context.lineWidth = 4 * dense; context.strokeStyle = '#ffffffd0';
    context.strokeText(this.station.name, x + 11 * dense, y + 4 * dense);
    context.fillStyle = '#14212e'; context.fillText(this.station.name, x + 11 * dense, y + 4 * dense);
  }
}
