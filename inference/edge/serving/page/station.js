// The page: asks the station, and only it.
const one = (id) => document.getElementById(id);
const ask = async (path) => {
  const answer = await fetch(path);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error ? body.error.message : answer.statusText);
  return body;
};
const timeWords = (time) => time.toLocaleString(undefined, {weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit'});

const page = {status: null, forecast: null, times: [], chosen: 0, fields: new Map(), ranges: new Map(), timer: null, asked: 0};

const banner = (state, reasons) => {
  one('banner').dataset.state = state;
  one('state').textContent = state;
  one('reasons').textContent = reasons.length ? reasons.join(' ') : 'The forecast is up to date.';
};

// The quantity of a kind that lies nearest to the ground.
const lowest = (pattern) => {
  const level = (name) => Number((name.match(/\d+$/) || ['9999'])[0]);
  return page.status.variables.filter((v) => pattern.test(v.name)).sort((a, b) => level(b.name) - level(a.name))[0];
};
const panelOf = (variable, style, more) => {
  if (!variable) return [];
  const of = page.forecast.variables, name = variable.name;
  const corrected = Object.keys(of).find((k) => k.startsWith(name + '_') && k.endsWith('_corrected'));
  return [{title: variable.title, name, unit: variable.unit, style, values: of[name].values,
    corrected: corrected && of[corrected].values,
    uncertainty: corrected && of[corrected.replace(/_corrected$/, '_uncertainty')].values, ...more}];
};
const panels = () => {
  const of = page.forecast.variables, wind = lowest(/^(10si|ws\d+)$/);
  const direction = wind && of[wind.name === '10si' ? '10wdir' : wind.name.replace('ws', 'wdir')];
  return [
    ...panelOf(lowest(/^2t$/) || lowest(/^t\d+$/), 'warm'),
    ...panelOf(wind, 'green', {fromZero: true, direction: direction && direction.values}),
    ...panelOf(lowest(/^msl$/) || lowest(/^sp$/) || lowest(/^gh\d+$/), 'cool'),
    ...panelOf(lowest(/^tp$/) || lowest(/^r\d*$/), 'cool', {fromZero: true}),
  ];
};

const showNow = () => {
  const k = page.chosen;
  one('now').replaceChildren(...page.panels.map((panel) => {
    const card = document.createElement('div'), title = document.createElement('small'), value = document.createElement('b');
    const note = document.createElement('small'), spread = panel.uncertainty && panel.uncertainty[k];
    title.textContent = panel.title;
    value.textContent = words((panel.corrected || panel.values)[k], panel.unit, panel.name);
    if (panel.direction && panel.direction[k] !== null) note.textContent = `from ${compass(panel.direction[k])}`;
    if (panel.corrected) {
      const s = shown(panel.unit, panel.name);
      note.textContent += spread ? `± ${(2 * spread * (s.of(1) - s.of(0))).toFixed(1)} ${s.unit}, corrected here` : 'corrected here';
    }
    card.append(title, value, note);
    return card;
  }));
};

// Colours keep their meaning from one time to the next: the range of every field that was drawn so far.
const showMap = async () => {
  const variable = one('variable').value, hours = page.status.leads_hours[page.chosen], key = `${variable} ${hours}`;
  const turn = ++page.asked;
  try {
    if (!page.fields.has(key)) page.fields.set(key, await ask(`v1/field?variable=${encodeURIComponent(variable)}&lead=${hours}`));
  } catch (fault) {
    one('map').setAttribute('aria-label', `The map cannot be drawn: ${fault.message}`);
    return;
  }
  if (turn !== page.asked) return;
  const field = page.fields.get(key), range = page.ranges.get(variable) || {least: field.minimum, most: field.maximum};
  range.least = Math.min(range.least, field.minimum); range.most = Math.max(range.most, field.maximum);
  page.ranges.set(variable, range);
  page.map.draw(field, range.least, range.most);
  one('least').textContent = words(range.least, field.unit, variable);
  one('most').textContent = words(range.most, field.unit, variable);
  one('map').setAttribute('aria-label', `${field.title} at ${timeWords(new Date(field.valid))}: ` +
    `${words(field.minimum, field.unit, variable)} to ${words(field.maximum, field.unit, variable)}`);
  const ramp = one('ramp').getContext('2d');
  for (let x = 0; x < 256; x++) {
    ramp.fillStyle = `rgb(${colour(rampOf(field), x / 255).map(Math.round).join(',')})`;
    ramp.fillRect(x, 0, 1, 12);
  }
};

const choose = (k) => {
  page.chosen = k;
  one('time').value = String(k);
  one('when').textContent = timeWords(page.times[k]);
  one('time').setAttribute('aria-valuetext', timeWords(page.times[k]));
  page.meteogram.point(k);
  showNow();
  return showMap();
};

const showTable = () => {
  const table = one('table'), names = page.panels.flatMap((p) => p.corrected ? [[p, 'values'], [p, 'corrected']] : [[p, 'values']]);
  const head = document.createElement('tr');
  for (const text of ['Time', ...names.map(([p, what]) => what === 'corrected' ? p.title + ', corrected' : p.title)]) {
    const cell = document.createElement('th');
    cell.scope = 'col'; cell.textContent = text; head.append(cell);
  }
  const rows = page.times.map((time, k) => {
    const row = document.createElement('tr');
    for (const text of [timeWords(time), ...names.map(([p, what]) => words(p[what][k], p.unit, p.name))]) {
      const cell = document.createElement('td');
      cell.textContent = text; row.append(cell);
    }
    return row;
  });
  table.replaceChildren(table.caption, head, ...rows);
};

const drawMeteogram = () => {
  page.meteogram = new Meteogram(one('meteogram'), page.times, page.panels, choose);
};

const load = async () => {
  page.status = await ask('v1/status');
  const {station, run, state, reasons} = page.status;
  document.title = `${station.name}: forecast`;
  one('name').textContent = station.name;
  one('place').textContent = `${Math.abs(station.latitude).toFixed(2)}° ${station.latitude < 0 ? 'S' : 'N'}, ` +
    `${Math.abs(((station.longitude + 540) % 360) - 180).toFixed(2)}° ${((station.longitude + 540) % 360) - 180 < 0 ? 'W' : 'E'}, ${Math.round(station.elevation_m)} m`;
  banner(state, reasons);
  if (!run) return;
  page.forecast = await ask('v1/forecast?format=json');
  page.times = page.forecast.times.map((t) => new Date(t));
  page.panels = panels();
  page.fields.clear();
  const select = one('variable'), before = select.value;
  select.replaceChildren(...page.status.variables.map((v) => {
    const option = document.createElement('option');
    option.value = v.name; option.textContent = v.title;
    return option;
  }));
  const preferred = before || (page.panels[0] && page.panels[0].name);
  if (preferred && page.status.variables.some((v) => v.name === preferred)) select.value = preferred;
  page.map = new FieldMap(one('map'), station, await ask('v1/coast'));
  one('time').max = String(page.times.length - 1);
  drawMeteogram();
  one('key').textContent = page.panels.some((p) => p.corrected)
    ? 'Full line: corrected by the station\'s sensors; band: two standard deviations of what remains; dashed: as the model has it.' : '';
  one('about').textContent = `Analysis ${timeWords(new Date(run.initial))}, model ${run.model}, boundary ${run.feed}` +
    (run.level ? `, token level ${run.level} (error ${run.level_skill} times that of level 0)` : '') + '.';
  showTable();
  const now = Date.parse(page.status.time);
  const next = page.times.findIndex((t) => t.getTime() >= now);
  await choose(next < 0 ? page.times.length - 1 : next);
  document.documentElement.dataset.ready = 'true';
};

one('time').addEventListener('input', () => choose(Number(one('time').value)));
one('variable').addEventListener('change', showMap);
one('play').addEventListener('click', () => {
  const playing = page.timer !== null;
  if (playing) { clearInterval(page.timer); page.timer = null; }
  else page.timer = setInterval(() => choose((page.chosen + 1) % page.times.length), 700);
  one('play').textContent = playing ? 'Play' : 'Pause';
  one('play').setAttribute('aria-pressed', String(!playing));
});
let resized = null;
window.addEventListener('resize', () => {
  clearTimeout(resized);
  resized = setTimeout(() => { if (page.forecast) { drawMeteogram(); choose(page.chosen); } }, 150);
});
const begin = () => load().catch((fault) => banner('DEGRADED', [`The station does not answer as expected: ${fault.message}.`]));
begin();
// A newer forecast takes its place by itself.
setInterval(async () => {
  try {
    const status = await ask('v1/status'), old = page.status && page.status.run;
    banner(status.state, status.reasons);
    if (status.run && (!old || old.initial !== status.run.initial || old.computed !== status.run.computed)) await load();
  } catch (fault) {
    banner('DEGRADED', ['The station does not answer.']);
  }
}, 60000);
