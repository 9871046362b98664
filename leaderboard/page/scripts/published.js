// Our results next to those of published tables, and whether differences go in the same direction.

function publishedView(cells) {
  const tables = chosen.section.published;
  document.getElementById("published").hidden = !tables.length;
  if (!tables.length) return null;
  const table = tables.find(item => item.name === chosen.published) ?? tables[0];
  const matches = table.matches.filter(match => cells.some(cell => isOf(match, cell)));
  const names = tables.map(item => [item.name, item.name]);
  return [
    html.form({class: "pair"}, chooser("Published table", "published", names)),
    html.p(`${table.citation}; ${table.about}. ${table.summary}`),
    hint(table.differences.length ? "What differs, apart from chance:" : "Model, data and protocol are as published."),
    bullets(table.differences, {class: "differences"}),
    matches.length ? publishedTable(table, matches, cells) : html.p("It prints nothing for the chosen task and size."),
  ];
}

const isOf = (match, cell) => keyOf(match) === cell.key && match.fraction === cell.fraction;

function publishedTable(table, matches, cells) {
  const mean = match => [html.b(points(match.mean)), " ", html.small(`n ${match.restarts}`)];
  const maxima = match => `${points(match.max)} / ${points(match.published_max)}`;
  const gap = match => withInterval(signed(match.gap), match.gap_low, match.gap_high, bound);
  const ours = ({ours: gain, low, high}) => withInterval(signed(gain), low, high, bound);
  const columns = [
    textColumn("Strategy", match => match.strategy),
    numberColumn("Ours", match => match.mean, (_, match) => mean(match), FALLING),
    numberColumn("Published", match => match.published_mean, points, FALLING),
    numberColumn("Ours − published", match => match.gap, (_, match) => gap(match), FALLING),
    numberColumn("Maxima", match => match.max, (_, match) => maxima(match), FALLING),
    numberColumn("Gain, published", match => match.direction?.published, signed, FALLING),
    numberColumn("Gain, ours", match => match.direction?.ours, (_, match) => orDash(ours)(match.direction), FALLING),
    textColumn("Direction", match => directionOf(match, table)),
  ];
  const isOfMaxima = matches.some(match => !isNumber(match.published_mean));
  const caption =
    `${table.name}: ${matches.length} of the ${plural(table.matches.length, "score")} that were run here; gains are ` +
    `over ${table.first}, ${isOfMaxima ? "of maxima where no mean is printed" : "ours on the same restarts"}`;
  const parts = cells.map(cell => ({title: nameOf(cell), rows: matches.filter(match => isOf(match, cell))}));
  return sortableTable({name: "published", caption, columns, parts});
}

function directionOf({strategy, direction}, table) {
  if (!direction) return strategy === table.first ? "compared with" : "not complete";
  const {verdict: said, significant} = direction;
  const sure = {yes: ", significant", no: ", not significant", "too few": ", too few restarts"}[significant] ?? "";
  return ["same", "opposite"].includes(said) ? said + sure : said;
}
