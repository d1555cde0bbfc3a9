// Says what pictures show: node predict.cjs photo.jpg ...
//
// Needs: npm install onnxruntime-node sharp. The files model.onnx, preprocess.json and labels.txt lie beside this one.
const fs = require("node:fs");
const path = require("node:path");
const ort = require("onnxruntime-node");
const sharp = require("sharp");

const beside = (name) => path.join(__dirname, name);
const how = JSON.parse(fs.readFileSync(beside("preprocess.json"), "utf8"));
const labels = fs.readFileSync(beside("labels.txt"), "utf8").split("\n").slice(0, -1);

// For each pixel of a line of size pixels, those of a line of side pixels that make it, with whole numbers as weights: by area where
// the picture is reduced, between the two nearest centers where it is enlarged.
function weights(side, size) {
  return Array.from({ length: size }, (_, i) => {
    const taps = [];
    if (size <= side) {
      for (let k = Math.floor((i * side) / size); k * size < (i + 1) * side; k++) {
        taps.push([k, Math.min((k + 1) * size, (i + 1) * side) - Math.max(k * size, i * side)]);
      }
    } else {
      const at = Math.min(Math.max((2 * i + 1) * side - size, 0), (side - 1) * 2 * size);
      const k = Math.floor(at / (2 * size));
      taps.push([k, 2 * size - (at % (2 * size))], [Math.min(k + 1, side - 1), at % (2 * size)]);
    }
    return taps;
  });
}

// The picture as the model takes it: [1, channels, size, size].
async function read(file) {
  let picture = sharp(file, { ignoreIcc: true });
  if (how.picture.orientation === "exif") picture = picture.rotate();
  picture = picture.flatten({ background: "#ffffff" }).toColourspace("srgb").removeAlpha().raw();
  const { data, info } = await picture.toBuffer({ resolveWithObject: true });
  const side = Math.max(Math.round(how.picture.center * Math.min(info.width, info.height)), 1);
  const left = Math.floor((info.width - side) / 2);
  const top = Math.floor((info.height - side) / 2);
  const size = how.picture.size;
  const line = weights(side, size);
  const total = line[0].reduce((sum, [, w]) => sum + w, 0) ** 2;
  const rgb = (c, y, x) => {
    let sum = 0;
    for (const [v, wy] of line[y]) {
      for (const [u, wx] of line[x]) {
        sum += wy * wx * data[((top + v) * info.width + left + u) * info.channels + (info.channels < 3 ? 0 : c)];
      }
    }
    return Math.floor((sum + Math.floor(total / 2)) / total);
  };
  const gray = (_, y, x) => Math.floor((299 * rgb(0, y, x) + 587 * rgb(1, y, x) + 114 * rgb(2, y, x) + 500) / 1000);
  const channels = how.input.channels.length;
  const pixel = channels === 1 ? gray : rgb;
  const { scale, mean, std } = how.value;
  const x = new Float32Array(channels * size * size);
  for (let c = 0, i = 0; c < channels; c++) {
    for (let p = 0; p < size * size; p++, i++) x[i] = (pixel(c, Math.floor(p / size), p % size) * scale - mean[c]) / std[c];
  }
  return new ort.Tensor("float32", x, [1, channels, size, size]);
}

async function main() {
  const session = await ort.InferenceSession.create(beside("model.onnx"));
  for (const name of process.argv.slice(2)) {
    const { probabilities } = await session.run({ [how.input.name]: await read(name) }, ["probabilities"]);
    const best = probabilities.data.indexOf(Math.max(...probabilities.data));
    console.log(`${name}: ${labels[best]} ${probabilities.data[best].toFixed(6)}`);
  }
}

main().catch((err) => {
  console.error(err.message);
  process.exitCode = 1;
});
