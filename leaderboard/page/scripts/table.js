// Tables whose columns sort, whose parts keep their order, and which fold to their headings where they are long.

const sortings = new Map(); // by the table's name: how the reader sorted it, kept when the page is drawn anew
const unfolded = new Set(); // titles of parts that the reader opened

// columns: {title, text(row) -> node or text, value(row) -> what is sorted by, number, falling: first sorted downwards}
// parts: [{title, rows, folds}]; rows of a later part stay below those of an earlier one, however they are sorted.
function sortableTable({name, caption, columns, parts, sorting = {}}) {
  const state = sortings.get(name) ?? sortings.set(name, {...sorting}).get(name);
  const filled = parts.filter(part => part.rows.length);
  const bodies = filled.map(() => html.tbody());
  const heads = columns.map(column => {
    const button = html.button({type: "button", click: () => sort(column)}, column.title);
    return html.th({scope: "col", class: column.number && "number"}, button);
  });

  function sort(column) {
    state.falling = state.title === column.title ? !state.falling : Boolean(column.falling);
    state.title = column.title;
    fillBodies();
  }

  function fillBodies() {
    const by = columns.find(column => column.title === state.title);
    heads.forEach((head, at) => {
      const order = state.falling ? "descending" : "ascending";
      head.setAttribute("aria-sort", columns[at] === by ? order : "none");
    });
    filled.forEach((part, at) => bodies[at].replaceChildren(...linesOf(part, by)));
  }

  function linesOf(part, by) {
    const ordered = by ? part.rows.toSorted((a, b) => inOrder(by.value(a), by.value(b), state.falling)) : part.rows;
    const open = !part.folds || unfolded.has(part.title);
    const heading = part.title && (filled.length > 1 || part.folds) ? [partHeading(part, open)] : [];
    return open ? [...heading, ...ordered.map(line)] : heading;
  }

  function partHeading(part, open) {
    const toggle = () => {
      if (!unfolded.delete(part.title)) unfolded.add(part.title);
      fillBodies();
      table.querySelector(`[data-part="${CSS.escape(part.title)}"]`).focus();
    };
    const attributes = {type: "button", class: "fold", "aria-expanded": String(open), "data-part": part.title};
    const button = html.button(attributes, {click: toggle}, part.title);
    const heading = html.th({scope: "rowgroup", colspan: columns.length}, part.folds ? button : part.title);
    return html.tr({class: "group"}, heading);
  }

  function line(row) {
    const cells = columns.map((column, at) => {
      const attributes = {"data-title": column.title, class: column.number && "number"};
      return at ? html.td(attributes, column.text(row)) : html.th({scope: "row"}, attributes, column.text(row));
    });
    return html.tr({"data-s": indexOf(row.strategy)}, cells);
  }

  const table = html.table(html.caption(caption), html.thead(html.tr(heads)), bodies);
  fillBodies();
  return table;
}

// What is undefined comes last either way.
function inOrder(a, b, falling) {
  if (!isNumber(a) || !isNumber(b)) return isNumber(b) - isNumber(a);
  const order = typeof a === "string" ? a.localeCompare(b) : a - b;
  return falling ? -order : order;
}

// Columns of text and of numbers; `print` shows the value.
const textColumn = (title, value, text = value) => ({title, value, text});
function numberColumn(title, value, print, more = {}) {
  return {title, value, text: row => print(value(row), row), number: true, ...more};
}
const FALLING = {falling: true};
