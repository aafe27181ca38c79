// The paper, and the model's answer to what is drawn on it.
//
// A stroke is a list of points, which are fractions of the paper's side: it looks the same at every size.

const STROKE_WIDTH = 1 / 12;
const SIDE = 28; // pixels of what the model sees
const SENT_SIDE = 280; // pixels; the server would reduce a larger drawing to as many
const KEY_STEP = 1 / 40; // how far an arrow key moves the pen
const PAUSE = 100; // milliseconds between an answer and the next question
const RETRY = 2000; // milliseconds until the next question if the server does not answer
const TIMEOUT = 10_000; // milliseconds for an answer

const paper = document.getElementById("paper");
const undoButton = document.getElementById("undo");
const clearButton = document.getElementById("clear");
const penStatus = document.getElementById("pen");
const answer = document.getElementById("answer");
const table = document.getElementById("probabilities");
const seenContext = document.getElementById("seen").getContext("2d");
const sent = Object.assign(document.createElement("canvas"), { width: SENT_SIDE, height: SENT_SIDE });

// The drawing

let strokes = [];
let stroke = null; // the one that is being drawn
const pen = { x: 0.5, y: 0.5, isShown: false }; // the keyboard's
let version = 0; // counts the changes

function begin(point) {
  stroke = [point];
  strokes.push(stroke);
  changed();
}

function extend(points) {
  stroke.push(...points);
  changed();
}

function end() {
  stroke = null;
  changed();
}

function undo() {
  strokes.pop();
  erased();
}

function clear() {
  strokes = [];
  erased();
}

function erased() {
  stroke = null;
  changed();
  firstValidVersion = version;
  if (strokes.length === 0) {
    showMessage("Draw one digit.");
  }
}

function changed() {
  version += 1;
  redraw();
  enableButtons();
  answer.setAttribute("aria-busy", stroke !== null); // screen readers wait for the end of the stroke
  ask();
}

function enableButtons() {
  const isBlank = strokes.length === 0;
  if (isBlank && [undoButton, clearButton].includes(document.activeElement)) {
    paper.focus({ preventScroll: true }); // a disabled button would lose the focus
  }
  undoButton.disabled = clearButton.disabled = isBlank;
}

function paint(context, side, ink) {
  context.lineWidth = STROKE_WIDTH * side;
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = ink;
  for (const points of strokes) {
    context.beginPath();
    context.moveTo(points[0].x * side - 0.01, points[0].y * side); // not on the first point, or a dot has no length
    for (const { x, y } of points) {
      context.lineTo(x * side, y * side);
    }
    context.stroke();
  }
}

function redraw() {
  const side = Math.round(paper.clientWidth * devicePixelRatio);
  if (paper.width !== side) {
    paper.width = paper.height = side;
  }
  const context = paper.getContext("2d");
  context.clearRect(0, 0, side, side);
  const style = getComputedStyle(paper);
  paint(context, side, style.color);
  if (pen.isShown) {
    context.beginPath();
    context.arc(pen.x * side, pen.y * side, (STROKE_WIDTH / 2) * side, 0, 2 * Math.PI);
    context.lineWidth = 3 * devicePixelRatio;
    context.strokeStyle = style.getPropertyValue("--accent");
    context.stroke();
  }
  showText(penStatus, pen.isShown ? `Pen ${stroke ? "down" : "up"}` : "");
}

function toPng() {
  const context = sent.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, SENT_SIDE, SENT_SIDE);
  paint(context, SENT_SIDE, "black");
  return new Promise((resolve) => sent.toBlob(resolve, "image/png"));
}

// The model's answers

let answeredVersion = 0; // the version of the last question
let firstValidVersion = 0; // answers to earlier versions come too late: something was erased since
let isAsking = false;

/** Ask about the drawing, one question at a time, until the newest version is answered. */
async function ask() {
  if (isAsking || answeredVersion === version || strokes.length === 0) {
    return;
  }
  isAsking = true;
  const about = version;
  let pause = PAUSE;
  try {
    const result = await predict();
    answeredVersion = about;
    if (about >= firstValidVersion) {
      show(result);
    }
  } catch (error) {
    console.error(error);
    if (strokes.length > 0) {
      showMessage("The server does not answer. Start it again with: digits draw");
    }
    pause = RETRY;
  }
  setTimeout(() => {
    isAsking = false;
    ask();
  }, pause);
}

async function predict() {
  const response = await fetch("predict", {
    method: "POST",
    headers: { "Content-Type": "image/png" },
    body: await toPng(),
    signal: AbortSignal.timeout(TIMEOUT),
  });
  return response.status === 500 ? { detail: "The server failed; its terminal says why." } : response.json();
}

function show({ detail, probabilities, seen }) {
  if (detail) {
    showMessage(detail);
    return;
  }
  const [best, second, third] = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
  const percent = (digit) => toPercent(probabilities[digit]);
  const strong = document.createElement("strong");
  strong.textContent = best;
  const rest =
    probabilities[best] > 0.9995
      ? " with more than 99.9\u00a0%"
      : ` with ${percent(best)}, then ${second} (${percent(second)}) and ${third} (${percent(third)})`;
  showText(answer, strong, rest);
  showBars(probabilities);
  showSeen(seen);
}

function showMessage(sentence) {
  showText(answer, sentence);
  showBars([]);
  seenContext.clearRect(0, 0, SIDE, SIDE);
}

/** Text that has not changed stays as it is, or screen readers would read it again. */
function showText(element, ...parts) {
  const text = parts.map((part) => part.textContent ?? part).join("");
  if (text !== element.textContent) {
    element.replaceChildren(...parts);
  }
}

function showBars(probabilities) {
  for (const [digit, row] of [...table.rows].entries()) {
    const probability = probabilities[digit] ?? 0;
    row.querySelector(".bar").style.width = `${100 * probability}%`;
    row.querySelector(".percent").textContent = digit in probabilities ? toPercent(probability) : "–";
  }
}

function showSeen(pixels) {
  const image = seenContext.createImageData(SIDE, SIDE);
  for (const [i, value] of pixels.flat().entries()) {
    image.data.set([value, value, value, 255], 4 * i);
  }
  seenContext.putImageData(image, 0, 0);
}

function toPercent(probability) {
  return `${(100 * probability).toFixed(1)}\u00a0%`;
}

// Mouse, touch and pen

let pointer = null; // the one that draws; others are ignored as long as it does

paper.addEventListener("pointerdown", (event) => {
  if (pointer !== null || event.button !== 0) {
    return;
  }
  pointer = event.pointerId;
  paper.setPointerCapture(pointer);
  showPen(false);
  begin(toPoint(event));
});

paper.addEventListener("pointermove", (event) => {
  if (event.pointerId === pointer && stroke) {
    const events = event.getCoalescedEvents?.() ?? []; // not in every browser
    extend((events.length > 0 ? events : [event]).map(toPoint));
  }
});

paper.addEventListener("lostpointercapture", (event) => {
  if (event.pointerId === pointer) {
    pointer = null;
    end();
  }
});

function toPoint(event) {
  const { left, top } = paper.getBoundingClientRect();
  const side = paper.clientWidth;
  return { x: (event.clientX - left - paper.clientLeft) / side, y: (event.clientY - top - paper.clientTop) / side };
}

// The keyboard's pen

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

paper.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || pointer !== null) {
    return;
  }
  if (event.key in ARROWS) {
    movePen(...ARROWS[event.key]);
  } else if (event.key === " " && !event.repeat) {
    togglePen();
  } else if (event.key !== " ") {
    return;
  }
  event.preventDefault(); // the page would scroll
});

paper.addEventListener("focus", () => showPen(paper.matches(":focus-visible")));
paper.addEventListener("blur", () => {
  if (stroke) {
    end();
  }
  showPen(false);
});

function movePen(right, down) {
  pen.x = Math.min(Math.max(pen.x + right * KEY_STEP, 0), 1);
  pen.y = Math.min(Math.max(pen.y + down * KEY_STEP, 0), 1);
  if (stroke) {
    extend([{ x: pen.x, y: pen.y }]);
  }
  showPen(true);
}

function togglePen() {
  if (stroke) {
    end();
  } else {
    begin({ x: pen.x, y: pen.y });
  }
  showPen(true);
}

function showPen(isShown) {
  pen.isShown = isShown;
  redraw();
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" || event.key === "Delete") {
    clear();
  } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    undo();
  }
});

// The page

for (let digit = 0; digit < 10; digit++) {
  const row = document.getElementById("row").content.cloneNode(true);
  row.querySelector("th").textContent = digit;
  table.append(row);
}
undoButton.addEventListener("click", undo);
clearButton.addEventListener("click", clear);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new ResizeObserver(redraw).observe(paper);
showMessage("Draw one digit.");
