// What will be sent, and the same as curl, Python and JSON.
//
// A picture is {file, name} or {address, name}; a request is {image, face_image, …fields}.

const DEFAULTS = { face_index: 0, quality: null, max_size: null };

/** The fields beside the pictures, without those that change nothing. */
export function fields({ model, target_index, output_format, ...others }) {
  const kept = Object.entries(others).filter(([name, value]) => name in DEFAULTS && value !== DEFAULTS[name]);
  return { model, target_index, output_format, ...Object.fromEntries(kept) };
}

const pictures = ({ image, face_image }) => Object.entries({ image, face_image });
const hasFiles = (request) => pictures(request).some(([, picture]) => picture?.file);

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
export function asObject(request) {
  const { model, ...others } = fields(request);
  const shown = ([name, picture]) => [name, picture?.file ? `data:${picture.file.type};base64,…` : (picture?.address ?? "…")];
  return { model, ...Object.fromEntries(pictures(request).map(shown)), ...others };
}

export const json = (request) => JSON.stringify(asObject(request), null, 2);

export function curl(request, address, key) {
  const lines = [`curl ${quoted(address)}`, `-H ${quoted(`Authorization: Bearer ${key}`)}`];
  if (hasFiles(request)) {
    for (const [name, value] of Object.entries(fields(request))) lines.push(`-F ${name}=${value}`);
    for (const [name, picture] of pictures(request)) {
      lines.push(picture?.file ? `-F ${quoted(`${name}=@"${picture.name}"`)}` : `-F ${quoted(`${name}=${picture?.address ?? "…"}`)}`);
    }
  } else {
    lines.push(`-H ${quoted("Content-Type: application/json")}`, `-d ${quoted(json(request))}`);
  }
  return lines.join(" \\\n  ");
}

export function python(request, address, key) {
  const lines = ["import httpx", "", "answer = httpx.post(", `    ${JSON.stringify(address)},`, `    headers={"Authorization": ${JSON.stringify(`Bearer ${key}`)}},`];
  if (hasFiles(request)) {
    const texts = { ...fields(request) };
    for (const [name, picture] of pictures(request)) if (!picture?.file) texts[name] = picture?.address ?? "…";
    lines.push("    data={", ...Object.entries(texts).map(([name, value]) => `        ${JSON.stringify(name)}: ${JSON.stringify(String(value))},`), "    },");
    const files = pictures(request).filter(([, picture]) => picture?.file);
    lines.push("    files={", ...files.map(([name, picture]) => `        ${JSON.stringify(name)}: open(${JSON.stringify(picture.name)}, "rb"),`), "    },");
  } else {
    lines.push("    json={", ...Object.entries(asObject(request)).map(([name, value]) => `        ${JSON.stringify(name)}: ${JSON.stringify(value)},`), "    },");
  }
  return [...lines, ")", "print(answer.json())"].join("\n");
}

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
