'use strict';
// Units for people, and colours of a value.
const shown = (unit, name) => {
  if (unit === 'K') return {unit: '°C', of: (v) => v - 273.15, digits: 1};
  if (unit === 'Pa') return {unit: 'hPa', of: (v) => v / 100, digits: 0};
  if (unit === 'kg kg-1') return {unit: 'g/kg', of: (v) => v * 1000, digits: 2};
  if (unit === 'm' && name === 'tp') return {unit: 'mm', of: (v) => v * 1000, digits: 1};
  const plain = unit.replace('m2 s-2', 'm²/s²').replace('m s-1', 'm/s').replace('degree', '°');
  return {unit: plain === '1' ? '' : plain, of: (v) => v, digits: unit === 'm s-1' ? 1 : 0};
};
const words = (value, unit, name) => {
  if (value === null || value === undefined) return '–';
  const s = shown(unit, name);
  return s.of(value).toFixed(s.digits) + (s.unit ? ' ' + s.unit : '');
};
const compass = (degrees) => ['N', 'NE', 'E', 'SE', 'S', 'SW', 'W', 'NW'][Math.round(degrees / 45) % 8];

// Stops in order; each [red, green, blue].
const ramps = {
  warmth: [[49, 54, 149], [69, 117, 180], [116, 173, 209], [171, 217, 233], [255, 255, 191], [253, 174, 97], [244, 109, 67], [165, 0, 38]],
  calm: [[247, 252, 240], [204, 235, 197], [123, 204, 196], [43, 140, 190], [8, 64, 129], [77, 0, 75]],
  height: [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]],
  sided: [[33, 102, 172], [146, 197, 222], [247, 247, 247], [244, 165, 130], [178, 24, 43]],
};
const rampOf = (field) => {
  if (field.unit === 'K') return ramps.warmth;
  if (/^(10|100)?[uv]\d*$/.test(field.variable)) return ramps.sided;
  if (field.unit === 'm s-1' || field.unit === '%' || field.unit === 'kg kg-1') return ramps.calm;
  return ramps.height;
};
const colour = (ramp, share) => {
  const at = Math.min(Math.max(share, 0), 1) * (ramp.length - 1), low = Math.min(Math.floor(at), ramp.length - 2);
  return [0, 1, 2].map((c) => ramp[low][c] + (at - low) * (ramp[low + 1][c] - ramp[low][c]));
};
