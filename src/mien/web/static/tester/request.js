// What will be sent, and the same as curl, Python and JSON.
//
// A picture is {file, name} or {address, name}; a request is {image, swaps, …fields}, and a swap is
// {target_index, face_index, pictures}. One swap is sent in the fields of the request itself, several in `swaps`.

const DEFAULTS = { face_index: 0, quality: null, max_size: null, label: false, label_language: null, exif: "drop", consent: null };

/** Without what changes nothing. */
const changing = (fields) => Object.fromEntries(Object.entries(fields).filter(([name, value]) => value !== DEFAULTS[name]));

const hasFiles = ({ image, swaps }) => [image, ...swaps.flatMap((swap) => swap.pictures)].some((picture) => picture?.file);

/** The fields beside the pictures, as they stand in a form. */
function fields({ model, swaps, image, output_format, ...others }) {
  const [{ target_index, face_index }] = swaps;
  if (swaps.length === 1) return { model, target_index, output_format, ...changing({ face_index, ...others }) };
  const indexes = swaps.map((swap) => ({ target_index: swap.target_index, ...changing({ face_index: swap.face_index }) }));
  return { model, swaps: JSON.stringify(indexes), output_format, ...changing(others) };
}

/** The pictures with the names of their parts in a form. */
function pictures({ image, swaps }) {
  const named = ({ pictures }, prefix) => (pictures.length > 1 ? pictures.map((picture) => [`${prefix}face_images`, picture]) : [[`${prefix}face_image`, pictures[0]]]);
  const faces = swaps.flatMap((swap, number) => named(swap, swaps.length > 1 ? `swaps[${number}].` : ""));
  return [["image", image], ...faces];
}

/** `json` or `body`, as `call` takes them. */
export function body(request) {
  if (!hasFiles(request)) return { json: asObject(request) };
  const form = new FormData();
  for (const [name, value] of Object.entries(fields(request))) form.append(name, String(value));
  for (const [name, picture] of pictures(request)) {
    if (picture.file) form.append(name, picture.file, picture.name);
    else form.append(name, picture.address);
  }
  return { body: form };
}

/** The JSON body; bytes of files are shown as the beginning of what they would be. */
export function asObject({ model, image, swaps, output_format, ...others }) {
  const shown = (picture) => (picture?.file ? `data:${picture.file.type};base64,…` : (picture?.address ?? "…"));
  const faces = ({ pictures }) => (pictures.length > 1 ? { face_images: pictures.map(shown) } : { face_image: shown(pictures[0]) });
  const swap = ({ target_index, face_index, ...rest }) => ({ ...faces(rest), target_index, ...changing({ face_index }) });
  const what = swaps.length > 1 ? { swaps: swaps.map(swap) } : swap(swaps[0]);
  return { model, image: shown(image), ...what, output_format, ...changing(others) };
}

export const json = (request) => JSON.stringify(asObject(request), null, 2);

export function curl(request, address, key) {
  const lines = [`curl ${quoted(address)}`, `-H ${quoted(`Authorization: Bearer ${key}`)}`];
  if (hasFiles(request)) {
    for (const [name, value] of Object.entries(fields(request))) lines.push(part(name, String(value)));
    for (const [name, picture] of pictures(request)) {
      lines.push(picture?.file ? `-F ${quoted(`${name}=@"${picture.name}"`)}` : part(name, picture?.address ?? "…"));
    }
  } else {
    lines.push(`-H ${quoted("Content-Type: application/json")}`, `-d ${quoted(json(request))}`);
  }
  return lines.join(" \\\n  ");
}

export function python(request, address, key) {
  const lines = ["import httpx", "", "answer = httpx.post(", `    ${literal(address)},`, `    headers={"Authorization": ${literal(`Bearer ${key}`)}},`];
  if (hasFiles(request)) {
    const texts = Object.entries(fields(request)).map(([name, value]) => [name, literal(String(value))]);
    const files = [];
    const addresses = {};
    for (const [name, picture] of pictures(request)) {
      if (picture?.file) files.push([name, picture.name]);
      else (addresses[name] ??= []).push(picture?.address ?? "…");
    }
    for (const [name, values] of Object.entries(addresses)) texts.push([name, literal(values.length > 1 ? values : values[0])]);
    lines.push("    data={", ...texts.map(([name, value]) => `        ${literal(name)}: ${value},`), "    },");
    lines.push("    files=[", ...files.map(([name, file]) => `        (${literal(name)}, open(${literal(file)}, "rb")),`), "    ],");
  } else {
    lines.push("    json={", ...Object.entries(asObject(request)).map(([name, value]) => `        ${literal(name)}: ${literal(value)},`), "    },");
  }
  return [...lines, ")", "print(answer.json())"].join("\n");
}

/** A part of a form for curl, which would read a file for some values and take others apart. */
const part = (name, value) => `${/^[@<]|;/.test(value) ? "--form-string" : "-F"} ${quotedIfNeeded(`${name}=${value}`)}`;

const quotedIfNeeded = (text) => (/^[\w./:=-]+$/.test(text) && !text.includes("://") ? text : quoted(text));
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** A value as Python writes it. */
function literal(value) {
  if (value === true) return "True";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([name, each]) => `${literal(name)}: ${literal(each)}`).join(", ")}}`;
  return JSON.stringify(value);
}
