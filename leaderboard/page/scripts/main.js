// Drawing the page from what is chosen; everything is drawn anew at each choice.

function draw() {
  const cells = chosenCells();
  const some = cells.length > 0;
  const focused = document.activeElement?.name;
  put("facts", facts());
  put("verdict", verdict());
  put("controls", controls());
  putChanged("answer", some ? answer(cells) : html.h2({id: "answer-title"}, "Nothing was run there"));
  put("table", some && strategyTable(cells));
  put("notes", some && notes(cells));
  put("charts-hint", chartsHint(cells));
  put("charts", some && charts(cells));
  put("tuning-view", some && tuningView(cells));
  put("compare", some && comparison(cells));
  put("ranking", rankingView());
  put("published-view", some && publishedView(cells));
  put("strategy-view", strategyView());
  put("about", aboutBoard());
  if (focused) document.getElementsByName(focused)[0]?.focus();
}

let drawnWidth;

function drawAtNewWidth() {
  if (chartWidth() !== drawnWidth) draw();
  drawnWidth = chartWidth();
}

document.addEventListener("submit", event => event.preventDefault());
document.getElementsByName("filter")[0].addEventListener("input", event => {
  chosen.filter = event.target.value;
  draw();
});
window.addEventListener("hashchange", () => {
  if (location.hash && !location.hash.includes("=")) return; // a heading of the page, no choice
  readAddress();
  draw();
});
put("reading", Object.values(board.wording).map(text => html.p(text)));
document.body.classList.add("drawn");
drawAtNewWidth();
new ResizeObserver(drawAtNewWidth).observe(document.querySelector("main"));
