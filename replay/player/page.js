'use strict';
// Plays the tape that stands in this page: text that is added to the screen, in its time. Nothing is loaded, and nothing is written as HTML.
(() => {
  const id = (x) => document.getElementById(x);
  const tape = JSON.parse(id('tape').textContent);
  const frames = tape.frames, screen = id('terminal'), seek = id('seek'), play = id('play');
  const length = frames.length ? frames[frames.length - 1].t : 0;
  const kept = 400000; // characters of the screen and what was scrolled away
  let next = 0, at = 0, timer = 0;

  const time = (s) => Math.floor(s / 60) + ':' + String(Math.floor(s % 60)).padStart(2, '0');
  const number = (x) => Number(id(x).value);

  // colors are those in which the shell writes; what is no colour of its own never comes here.
  const colors = { '97;41;1': 'production', '30;43': 'staging', '30;42': 'development', 91: 'red', 31: 'red', 93: 'yellow', 33: 'yellow', 92: 'green', 32: 'green' };

  // paint turns text with colours into nodes: text, and text in a span of a class.
  function paint(text) {
    const out = document.createDocumentFragment();
    let style = '';
    text.split(/\x1b\[([0-9;]*)m/).forEach((part, i) => {
      if (i % 2) {
        style = part.replace(/;?0;?/g, '') === '' ? '' : (colors[part] || colors[part.replace(/;?1$/, '')] || '') + (/(^|;)1$/.test(part) ? ' bold' : '');
      } else if (part && style) {
        const span = document.createElement('span');
        span.className = style.trim();
        span.textContent = part;
        out.append(span);
      } else if (part) {
        out.append(part);
      }
    });
    return out;
  }

  // show adds the frames up to one, without it.
  function show(to) {
    let from = next, text = '';
    for (let k = next; k < to; k++) {
      if (frames[k].c) {
        from = k;
        screen.textContent = '';
      }
    }
    for (; from < to; from++) {
      text += frames[from].s || '';
    }
    screen.append(paint(text));
    screen.normalize();
    for (let over = screen.textContent.length - kept; over > 0;) {
      const first = screen.firstChild, n = first.textContent.length;
      if (n <= over || first.nodeType !== Node.TEXT_NODE) {
        first.remove();
      } else {
        first.deleteData(0, over);
      }
      over -= n;
    }
    screen.scrollTop = screen.scrollHeight;
    next = to;
    at = to ? frames[to - 1].t : 0;
  }

  function tell(text) {
    id('playing').textContent = text;
  }

  function update() {
    seek.value = at;
    const now = time(at) + ' of ' + time(length);
    id('clock').textContent = now;
    seek.setAttribute('aria-valuetext', now);
    const f = frames[next - 1] || {};
    id('notes').textContent = (f.l ? [f.l] : []).concat(f.n || []).join('\n');
  }

  function pause() {
    clearTimeout(timer);
    timer = 0;
    play.textContent = 'Play';
  }

  function tick() {
    if (next === frames.length) {
      pause();
      tell('the end');
      return;
    }
    let gap = Math.max(frames[next].t - at, 0);
    const idle = number('idle');
    if (idle) {
      gap = Math.min(gap, idle);
    }
    timer = setTimeout(() => {
      show(next + 1);
      update();
      tick();
    }, gap * 1000 / number('speed'));
  }

  // until shows all up to the next frame that is wanted, with it.
  function until(wanted, name) {
    pause();
    for (let k = next; k < frames.length; k++) {
      if (wanted(frames[k])) {
        show(k + 1);
        update();
        tell(time(at) + ' ' + (frames[k].l || ''));
        return;
      }
    }
    tell('no further ' + name);
  }

  function to(t) {
    let k = 0;
    while (k < frames.length && frames[k].t <= t) {
      k++;
    }
    if (k < next) {
      screen.textContent = '';
      next = 0;
    }
    show(k);
    at = t;
    update();
  }

  const acts = {
    play() {
      if (timer) {
        pause();
        tell('paused');
        return;
      }
      if (next === frames.length) {
        to(0);
      }
      play.textContent = 'Pause';
      tell('playing');
      tick();
    },
    step: () => until(() => true, 'step'),
    question: () => until((f) => f.m === 'question', 'question'),
    write: () => until((f) => f.m === 'write', 'write'),
    refusal: () => until((f) => f.m === 'refusal', 'refusal'),
  };
  for (const [name, act] of Object.entries(acts)) {
    id(name).addEventListener('click', act);
  }
  seek.addEventListener('input', () => {
    pause();
    to(Number(seek.value));
  });
  const keys = { ' ': 'play', '.': 'step', n: 'question', w: 'write', r: 'refusal' };
  screen.addEventListener('keydown', (e) => {
    if (keys[e.key] && !e.ctrlKey && !e.altKey && !e.metaKey) {
      e.preventDefault();
      acts[keys[e.key]]();
    }
  });

  seek.max = length;
  screen.style.width = 'calc(' + tape.columns + 'ch + 1.4rem)';
  screen.style.height = 'calc(' + Math.min(tape.rows, 40) * 1.45 + 'em + 1.2rem)';
  id('player').hidden = false;
  show(0);
  update();
})();
