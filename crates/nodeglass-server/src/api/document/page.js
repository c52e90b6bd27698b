// Shows the OpenAPI document of this server: its calls by group, its errors, its types. Nothing comes from elsewhere.
"use strict";

const make = (name, attributes, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
};

// Text in which `words` are code.
const prose = (text) =>
  (text ?? "").split(/(`[^`]*`)/).map((part) =>
    part.startsWith("`") && part.length > 1 ? make("code", {}, part.slice(1, -1)) : part);

const paragraphs = (text) => (text ?? "").split("\n\n").map((part) => make("p", {}, ...prose(part)));

const nameOf = (reference) => reference.split("/").pop();

// A schema in a line, types of their own as links.
const brief = (schema) => {
  if (!schema || Object.keys(schema).length === 0) return ["anything"];
  if (schema.$ref) {
    const name = nameOf(schema.$ref);
    return [make("a", { href: `#type-${name}` }, name)];
  }
  for (const [key, word] of [["oneOf", " or "], ["anyOf", " or "], ["allOf", " and "]]) {
    if (schema[key]) return schema[key].flatMap((one, at) => (at ? [word, ...brief(one)] : brief(one)));
  }
  if (schema.enum) return [schema.enum.map((one) => JSON.stringify(one)).join(" or ")];
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  const type = [schema.type ?? "anything"].flat();
  if (type.includes("array")) return ["list of ", ...brief(schema.items)];
  if (type.includes("object") && schema.additionalProperties && !schema.properties) {
    return ["names to ", ...brief(schema.additionalProperties)];
  }
  const words = [type.join(" or ")];
  if (schema.minimum !== undefined && schema.minimum !== 0) words.push(`, from ${schema.minimum}`);
  if (schema.maximum !== undefined) words.push(` to ${schema.maximum}`);
  return words;
};

const rows = (head, body) =>
  make("table", {}, make("tr", {}, ...head.map((name) => make("th", {}, name))),
    ...body.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, ...[cell].flat())))));

const fields = (schema) => {
  const parts = schema.allOf ?? [schema];
  const found = [];
  for (const part of parts) {
    if (part.$ref) found.push([["all of"], brief(part), []]);
    for (const [name, field] of Object.entries(part.properties ?? {})) {
      const always = (part.required ?? []).includes(name);
      found.push([[make("code", {}, name), always ? "" : " ?"], brief(field), prose(field.description)]);
    }
    if (part.additionalProperties) found.push([["any other name"], brief(part.additionalProperties), []]);
  }
  return found.length ? rows(["field", "type", "meaning"], found) : make("p", {}, ...brief(schema));
};

const answers = (document_, operation) =>
  Object.entries(operation.responses ?? {}).map(([status, answer]) => {
    const full = answer.$ref ? document_.components.responses[nameOf(answer.$ref)] : answer;
    const forms = Object.entries(full.content ?? {}).flatMap(([form, { schema }], at) =>
      [at ? make("br") : "", make("code", {}, form), " ", ...(schema ? brief(schema) : [])]);
    return [make("code", {}, status), prose(full.description), forms];
  });

const call = (document_, path, method, operation) => {
  const who = operation["x-role"] ? `${operation["x-role"]} · ${operation["x-scope"]}` : "open";
  const parameters = (operation.parameters ?? []).map((one) =>
    [[make("code", {}, one.name), one.required ? "" : " ?"], one.in, brief(one.schema), prose(one.description)]);
  const body = operation.requestBody && Object.entries(operation.requestBody.content).map(([form, { schema }]) =>
    [make("code", {}, form), brief(schema), prose(operation.requestBody.description)]);
  const content = [
    ...paragraphs(operation.description),
    parameters.length ? rows(["parameter", "in", "type", "meaning"], parameters) : undefined,
    body ? rows(["body", "type", "meaning"], body) : undefined,
    rows(["answer", "meaning", "forms"], answers(document_, operation)),
    make("pre", {}, example(path, method, operation)),
  ];
  const summary = make("summary", {}, make("span", { class: "method" }, method), make("code", {}, path),
    make("span", { class: "says" }, ...prose(operation.summary)), make("span", { class: "who" }, who));
  const details = make("details", { id: `call-${operation.operationId}` }, summary, ...content);
  details.dataset.text = `${method} ${path} ${operation.summary} ${operation.operationId}`.toLowerCase();
  return details;
};

const example = (path, method, operation) => {
  const query = (operation.parameters ?? []).filter((one) => one.in === "query" && one.required)
    .map((one) => `${one.name}=${one.example ?? one.schema?.example ?? "…"}`);
  const url = `${location.origin}${path}${query.length ? `?${query.join("&")}` : ""}`;
  const token = operation["x-role"] ? `-H "Authorization: Bearer $TOKEN" ` : "";
  const verb = method === "get" ? "" : `-X ${method.toUpperCase()} `;
  return `curl ${verb}${token}'${url}'`;
};

const show = (document_) => {
  document.getElementById("intro").replaceWith(...paragraphs(document_.info.description));
  const groups = new Map(document_.tags.map((tag) => [tag.name, [tag, []]]));
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const tag = operation.tags?.[0] ?? "other";
      if (!groups.has(tag)) groups.set(tag, [{ name: tag }, []]);
      groups.get(tag)[1].push(call(document_, path, method, operation));
    }
  }
  document.getElementById("calls").replaceChildren(...[...groups.values()].filter(([, calls]) => calls.length)
    .flatMap(([tag, calls]) => [make("h2", {}, tag.name), ...paragraphs(tag.description), ...calls]));
  const codes = document_.components.schemas.Problem["x-codes"];
  const table = rows(["code", "HTTP", "gRPC", "meaning"],
    codes.map((one) => [make("code", {}, one.code), String(one.status), one.grpc, one.title]));
  codes.forEach((one, at) => table.rows[at + 1].setAttribute("id", one.code));
  document.getElementById("codes").replaceWith(table);
  document.getElementById("types").replaceChildren(...Object.entries(document_.components.schemas)
    .map(([name, schema]) => make("details", { id: `type-${name}` }, make("summary", {}, make("code", {}, name)),
      ...paragraphs(schema.description), fields(schema))));
};

const openTarget = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.tagName === "DETAILS") target.open = true;
  target.scrollIntoView();
};

document.getElementById("find").addEventListener("input", ({ target }) => {
  const words = target.value.toLowerCase().split(/\s+/);
  for (const details of document.querySelectorAll("#calls details")) {
    details.hidden = !words.every((word) => details.dataset.text.includes(word));
  }
});
addEventListener("hashchange", openTarget);
fetch("/api/v1/openapi.json")
  .then((answer) => answer.json())
  .then((document_) => { show(document_); openTarget(); })
  .catch((error) => { document.getElementById("calls").textContent = `The document can't be read: ${error}`; });
