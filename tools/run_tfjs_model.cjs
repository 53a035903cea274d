// Runs a TensorFlow.js graph model on pictures one by one, for measure_parity.py.
// node run_tfjs_model.cjs <folder with node_modules> <folder with model.json, model.bin, input.bin> <node> <h,w,c>
const fs = require("fs");
const path = require("path");

const [modules, folder, node, sides] = process.argv.slice(2);
const tf = require(path.resolve(modules, "node_modules/@tensorflow/tfjs"));
const shape = sides.split(",").map(Number);

/** The bytes of a file in a buffer of their own, as TensorFlow.js wants them. */
function bytes(name) {
  const content = fs.readFileSync(path.join(folder, name));
  return content.buffer.slice(content.byteOffset, content.byteOffset + content.byteLength);
}

async function main() {
  const model = JSON.parse(fs.readFileSync(path.join(folder, "model.json"), "utf-8"));
  const weightSpecs = model.weightsManifest.flatMap((group) => group.weights);
  const source = { ...model, weightSpecs, weightData: bytes("model.bin") };
  const graph = await tf.loadGraphModel(tf.io.fromMemory(source));
  const pictures = new Float32Array(bytes("input.bin"));
  const size = shape.reduce((product, side) => product * side, 1);
  const output = fs.createWriteStream(path.join(folder, "output.bin"));
  for (let start = 0; start < pictures.length; start += size) {
    const picture = tf.tensor(pictures.subarray(start, start + size), [1, ...shape]);
    const answer = graph.execute(picture, node);
    output.write(Buffer.from(new Float32Array(await answer.data()).buffer));
    tf.dispose([picture, answer]);
  }
  output.end();
}

main();
