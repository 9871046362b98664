// Elements from plain data: html.p({class: "hint"}, "text"). Texts become text nodes and attributes, never markup.

const html = builder(name => document.createElement(name));
const svg = builder(name => document.createElementNS("http://www.w3.org/2000/svg", name));

function builder(make) {
  return new Proxy({}, {get: (_, name) => (...parts) => fill(make(name), parts)});
}

// Parts: attributes (a plain object; functions are listeners), nodes, texts, lists of them; empty ones are skipped.
function fill(node, parts) {
  for (const part of parts.flat(Infinity)) {
    if (part === null || part === undefined || part === false) continue;
    if (part instanceof Node || typeof part !== "object") node.append(part);
    else setAttributes(node, part);
  }
  return node;
}

function setAttributes(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(key, value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
}

function put(id, ...parts) {
  const target = document.getElementById(id);
  target.replaceChildren();
  return fill(target, parts);
}

// What is read aloud when it is replaced is replaced only where it says something else.
function putChanged(id, ...parts) {
  const made = html.div(parts);
  if (made.textContent !== document.getElementById(id).textContent) put(id, [...made.childNodes]);
}

function choice(label, name, options, selected, change) {
  const items = options.map(([value, text]) => html.option({value, selected: value === selected}, text));
  return html.label(label, html.select({name, change: event => change(event.target.value)}, items));
}

const hint = text => html.p({class: "hint"}, text);
const bullets = (lines, attributes = {}) => html.ul(attributes, lines.map(line => html.li(line)));
