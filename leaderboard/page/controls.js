// What the page is about, and the controls that choose it.

function controls(data, state, change) {
  const section = state.section,
    tasks = tasksOf(section);
  const set = key => value => change({[key]: value});
  return [
    choice(
      `Model and protocol${data.sections.length > 1 ? ` (${data.sections.indexOf(section) + 1} of ${data.sections.length})` : ""}`,
      "section",
      data.sections.map((item, index) => [String(index), item.title]),
      String(data.sections.indexOf(section)),
      set("section"),
    ),
    choice(
      "Task",
      "task",
      [["all", "all tasks"], ...tasks.map(task => [task.key, task.label])],
      state.task,
      set("task"),
    ),
    choice(
      "Training data",
      "fraction",
      [["all", "all shares"], ...fractionsOf(section).map(fraction => [String(fraction), percent(fraction)])],
      state.fraction,
      set("fraction"),
    ),
    choice(
      "Technique",
      "technique",
      [["all", "all techniques"], ...techniquesOf(section).map(name => [name, name])],
      state.technique,
      set("technique"),
    ),
  ];
}

function facts(section, data) {
  const protocol = section.protocol,
    kept = Object.entries(section.versions),
    differs = Object.entries(section.differs).map(([key, value]) => `, ${key} ${value}`);
  const text = [
    `Model ${section.model}, protocol ${protocol.name}: ${protocol.selection === "best_dev" ? "best epoch on dev" : "last epoch"}, ${protocol.precision}, ${protocol.data} data${differs.join("")}.`,
    section.ranking.units
      ? `Ranked strategies have ${plural(section.ranking.units, "split")}${section.splits > 1 ? ` over ${section.splits} splits` : ""}.`
      : "",
    section.baseline ? `Baseline: ${section.baseline}.` : "No baseline.",
    kept.length ? `Differing software: ${kept.map(([name, value]) => `${name} ${value}`).join("; ")}.` : "",
    data.problems ? `${plural(data.problems, "file")} could not be used.` : "",
    section.cells.some(cell => cell.synthetic) ? "Tasks named pocket-* are synthetic, not GLUE." : "",
  ];
  return text.filter(Boolean).join(" ");
}
