// Says what pictures show: java -cp onnxruntime.jar Predict.java photo.jpg ...
//
// Needs: Java 17 and the file of com.microsoft.onnxruntime:onnxruntime from Maven Central. The files model.onnx, preprocess.json and
// labels.txt lie in the folder where it is started, or in the one that the environment variable MODEL names.
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;

public class Predict {
    static String how; // what preprocess.json says

    /** The text or the list behind a key of preprocess.json, without quotes and brackets. */
    static String setting(String key) {
        var found = Pattern.compile("\"" + key + "\":\\s*(?:\"([^\"]*)\"|\\[([^\\]]*)\\]|([-+.\\deE]+))").matcher(how);
        if (!found.find()) throw new IllegalStateException("preprocess.json has no " + key);
        return found.group(1) != null ? found.group(1) : found.group(2) != null ? found.group(2) : found.group(3);
    }

    static double[] numbers(String key) {
        return Arrays.stream(setting(key).split(",")).mapToDouble(Double::parseDouble).toArray();
    }

    /**
     * For each pixel of a line of size pixels, those of a line of side pixels that make it, as pairs of place and weight: by area where
     * the picture is reduced, between the two nearest centers where it is enlarged.
     */
    static long[][][] weights(long side, int size) {
        var out = new long[size][][];
        for (int i = 0; i < size; i++) {
            if (size <= side) {
                long first = i * side / size, end = ((i + 1) * side + size - 1) / size;
                out[i] = new long[(int) (end - first)][];
                for (long k = first; k < end; k++) {
                    out[i][(int) (k - first)] = new long[] {k, Math.min((k + 1) * size, (i + 1) * side) - Math.max(k * size, i * side)};
                }
            } else {
                long at = Math.min(Math.max((2 * i + 1) * side - size, 0), (side - 1) * 2 * size), k = at / (2 * size), rest = at % (2 * size);
                out[i] = new long[][] {{k, 2 * size - rest}, {Math.min(k + 1, side - 1), rest}};
            }
        }
        return out;
    }

    /** How the camera held the picture, as EXIF counts it: 1 is upright. */
    static int orientation(byte[] file) {
        var head = new String(file, 0, Math.min(file.length, 1 << 16), StandardCharsets.ISO_8859_1);
        int jpeg = head.indexOf("Exif\0\0"), png = head.indexOf("eXIf"), from = jpeg >= 0 ? jpeg + 6 : png + 4;
        if (from < 4 || from + 8 > file.length) return 1;
        var exif = ByteBuffer.wrap(file, from, file.length - from).slice();
        exif.order(exif.get(0) == 'I' ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
        for (int at = exif.getInt(4) + 2; at >= 2 && at + 12 <= exif.limit(); at += 12) {
            int tag = exif.getShort(at) & 0xffff;
            if (tag == 0x112) return exif.getShort(at + 8);
            if (tag > 0x112) break; // tags are sorted
        }
        return 1;
    }

    /** The picture as the model takes it: [1, channels, size, size]. */
    static float[] read(Path path) throws Exception {
        byte[] file = Files.readAllBytes(path);
        BufferedImage picture = ImageIO.read(new ByteArrayInputStream(file));
        if (picture == null) throw new IllegalArgumentException(path + " is no picture that Java reads");
        int width = picture.getWidth(), height = picture.getHeight();
        int side = Math.max((int) Math.round(Double.parseDouble(setting("center")) * Math.min(width, height)), 1);
        int left = (width - side) / 2, top = (height - side) / 2;
        // getRGB would brighten gray pictures, which Java takes for linear ones.
        boolean gray = picture.getColorModel().getColorSpace().getType() == java.awt.color.ColorSpace.TYPE_GRAY && picture.getSampleModel().getSampleSize(0) == 8;
        var pixels = new int[side * side][3];
        for (int p = 0; p < pixels.length; p++) {
            int x = left + p % side, y = top + p / side;
            Color shade = new Color(picture.getRGB(x, y), true);
            int level = gray ? picture.getRaster().getSample(x, y, 0) : 0, alpha = shade.getAlpha();
            int[] rgb = gray ? new int[] {level, level, level} : new int[] {shade.getRed(), shade.getGreen(), shade.getBlue()};
            for (int c = 0; c < 3; c++) pixels[p][c] = (rgb[c] * alpha + 255 * (255 - alpha) + 127) / 255; // on white
        }
        int size = Integer.parseInt(setting("size")), turned = setting("orientation").equals("exif") ? orientation(file) : 1;
        var line = weights(side, size);
        long sum = 0;
        for (var t : line[0]) sum += t[1];
        long total = sum * sum;
        var small = new long[3][size * size];
        for (int c = 0; c < 3; c++) {
            for (int p = 0; p < size * size; p++) {
                int x = p % size, y = p / size;
                if (turned >= 5) { // what is swapped, then what is mirrored
                    int swap = x;
                    x = y;
                    y = swap;
                }
                if (Set.of(2, 3, 7, 8).contains(turned)) x = size - 1 - x;
                if (Set.of(3, 4, 6, 7).contains(turned)) y = size - 1 - y;
                long value = 0;
                for (var v : line[y]) for (var u : line[x]) value += v[1] * u[1] * pixels[(int) (v[0] * side + u[0])][c];
                small[c][p] = (value + total / 2) / total;
            }
        }
        int channels = setting("channels").split(",").length;
        double scale = Double.parseDouble(setting("scale"));
        double[] mean = numbers("mean"), std = numbers("std");
        var out = new float[channels * size * size];
        for (int i = 0; i < out.length; i++) {
            int c = i / (size * size), p = i % (size * size);
            long value = channels == 1 ? (299 * small[0][p] + 587 * small[1][p] + 114 * small[2][p] + 500) / 1000 : small[c][p];
            out[i] = (float) ((value * scale - mean[c]) / std[c]);
        }
        return out;
    }

    public static void main(String[] pictures) throws Exception {
        Path folder = Path.of(System.getenv().getOrDefault("MODEL", "."));
        how = Files.readString(folder.resolve("preprocess.json"));
        List<String> labels = Files.readAllLines(folder.resolve("labels.txt"));
        long size = Long.parseLong(setting("size")), channels = setting("channels").split(",").length;
        var environment = OrtEnvironment.getEnvironment();
        try (var session = environment.createSession(folder.resolve("model.onnx").toString())) {
            for (String name : pictures) {
                try (var x = OnnxTensor.createTensor(environment, FloatBuffer.wrap(read(Path.of(name))), new long[] {1, channels, size, size});
                        var y = session.run(Map.of(setting("name"), x), Set.of("probabilities"))) {
                    float[] probabilities = ((float[][]) y.get(0).getValue())[0];
                    int best = 0;
                    for (int i = 1; i < probabilities.length; i++) if (probabilities[i] > probabilities[best]) best = i;
                    System.out.printf(Locale.ROOT, "%s: %s %.6f%n", name, labels.get(best), probabilities[best]);
                }
            }
        }
    }
}
