// Says what pictures show: cargo run --release -- photo.jpg ...
//
// Cargo.toml beside this file names what it needs; the environment variable ORT_DYLIB_PATH names ONNX Runtime's library. The files
// model.onnx, preprocess.json and labels.txt lie in the folder where it is started, or in the one that the environment variable
// MODEL names.
use image::{DynamicImage, ImageDecoder, ImageReader, metadata::Orientation};
use ort::{session::Session, value::Tensor};
use serde_json::Value;
use std::{env, error::Error, fs, path::Path};

/// For each pixel of a line of `size` pixels, those of a line of `side` pixels that make it, with their weights: by area where the
/// picture is reduced, between the two nearest centers where it is enlarged.
fn weights(side: i64, size: i64) -> Vec<Vec<(i64, i64)>> {
    let line = |i: i64| {
        if size <= side {
            let pixels = i * side / size..((i + 1) * side + size - 1) / size;
            return pixels.map(|k| (k, ((k + 1) * size).min((i + 1) * side) - (k * size).max(i * side))).collect();
        }
        let at = ((2 * i + 1) * side - size).clamp(0, (side - 1) * 2 * size);
        let (k, rest) = (at / (2 * size), at % (2 * size));
        vec![(k, 2 * size - rest), ((k + 1).min(side - 1), rest)]
    };
    (0..size).map(line).collect()
}

/// The picture as the model takes it: [1, channels, size, size].
fn read(path: &str, how: &Value) -> Result<Vec<f32>, Box<dyn Error>> {
    let mut decoder = ImageReader::open(path)?.with_guessed_format()?.into_decoder()?;
    let turn = if how["picture"]["orientation"] == "exif" { decoder.orientation()? } else { Orientation::NoTransforms };
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(turn);
    let picture = picture.to_rgba8();
    let (width, height) = (picture.width() as i64, picture.height() as i64);
    let center = how["picture"]["center"].as_f64().ok_or("no center")?;
    let side = ((center * width.min(height) as f64).round() as i64).max(1);
    let (left, top) = ((width - side) / 2, (height - side) / 2);
    let size = how["picture"]["size"].as_i64().ok_or("no size")?;
    let line = weights(side, size);
    let total = line[0].iter().map(|t| t.1).sum::<i64>().pow(2);
    let rgb = |c: usize, p: i64| {
        let mut sum = 0;
        for &(v, wy) in &line[(p / size) as usize] {
            for &(u, wx) in &line[(p % size) as usize] {
                let pixel = picture.get_pixel((left + u) as u32, (top + v) as u32).0;
                let alpha = pixel[3] as i64;
                sum += wy * wx * ((pixel[c] as i64 * alpha + 255 * (255 - alpha) + 127) / 255); // on white
            }
        }
        (sum + total / 2) / total
    };
    let channels = how["input"]["channels"].as_array().ok_or("no channels")?.len();
    let number = |v: &Value| v.as_f64().ok_or("no number");
    let scale = number(&how["value"]["scale"])?;
    let mut out = Vec::new();
    for c in 0..channels {
        let (mean, std) = (number(&how["value"]["mean"][c])?, number(&how["value"]["std"][c])?);
        for p in 0..size * size {
            let value = if channels == 1 { (299 * rgb(0, p) + 587 * rgb(1, p) + 114 * rgb(2, p) + 500) / 1000 } else { rgb(c, p) };
            out.push(((value as f64 * scale - mean) / std) as f32);
        }
    }
    Ok(out)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::var("MODEL").unwrap_or(".".into());
    let folder = Path::new(&folder);
    let how: Value = serde_json::from_str(&fs::read_to_string(folder.join("preprocess.json"))?)?;
    let labels = fs::read_to_string(folder.join("labels.txt"))?;
    let labels: Vec<&str> = labels.lines().collect();
    let mut session = Session::builder()?.commit_from_file(folder.join("model.onnx"))?;
    let input = how["input"]["name"].as_str().ok_or("no name")?.to_owned();
    let size = how["picture"]["size"].as_i64().ok_or("no size")?;
    for name in env::args().skip(1) {
        let values = read(&name, &how)?;
        let channels = values.len() as i64 / (size * size);
        let x = Tensor::from_array((vec![1, channels, size, size], values))?;
        let outputs = session.run(ort::inputs![input.as_str() => x])?;
        let (_, probabilities) = outputs["probabilities"].try_extract_tensor::<f32>()?;
        let best = (0..probabilities.len()).fold(0, |b, i| if probabilities[i] > probabilities[b] { i } else { b });
        println!("{name}: {} {:.6}", labels[best], probabilities[best]);
    }
    Ok(())
}
