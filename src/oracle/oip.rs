//! The Open Inference Protocol V2, as bytes: requests, replies, and the refusals beside them.
//!
//! Both ends of the wire use this file: `serve` answers with it and `oracle::http` asks with it. It
//! knows no server, no client and no clock. Tensors travel as JSON numbers or, with the binary
//! extension, as little-endian bytes after the JSON; both carry every f64 exactly. Unknown fields
//! are ignored and null counts as absent, because real clients send both.
//!
//! Source: KServe, Open Inference Protocol, V2 REST; Triton, binary tensor data extension.

mod answers;
mod data;
mod datatype;
mod outcomes;

use ndarray::Array2;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

pub use answers::{Reading, joined, tensors};
pub use data::Data;
pub use datatype::Datatype;
pub use outcomes::{all_denied, outcomes_from, outcomes_to};

use crate::error::{Error, Result};

/// Header with the length of the JSON part, present when binary tensors follow it.
pub const HEADER_LENGTH: &str = "inference-header-content-length";

/// Free-form parameters.
pub type Parameters = Map<String, Value>;

/// Key of the per-row outcomes in reply parameters and in error bodies.
pub const OUTCOMES: &str = "retort_outcomes";

/// Key of the server's time in microseconds, beside the outcomes.
pub const AT: &str = "retort_at_us";

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InferRequest {
    /// Echoed in the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Parameters>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub inputs: Vec<Tensor>,
    /// The outputs wanted; absent or empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub outputs: Vec<Asked>,
}

/// One output that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Parameters>,
}

/// What is answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InferReply {
    #[serde(default, deserialize_with = "null_as_default")]
    pub model_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Parameters>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub outputs: Vec<Tensor>,
}

/// A named array.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub shape: Vec<usize>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub datatype: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Parameters>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
}

/// What a server tells about a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelMetadata {
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub versions: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub platform: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub inputs: Vec<TensorMetadata>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub outputs: Vec<TensorMetadata>,
    /// `retort_classes` from our own servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Parameters>,
}

/// Name, type and shape of one input or output; -1 is a length that may vary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TensorMetadata {
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub datatype: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub shape: Vec<i64>,
}

fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    d: D,
) -> std::result::Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

impl InferRequest {
    /// Reads a body; `head` is the value of [`HEADER_LENGTH`], if sent.
    pub fn from_bytes(body: &[u8], head: Option<usize>) -> Result<Self> {
        let (json, mut blob) = split(body, head)?;
        let mut request: Self = parse(json)?;
        for tensor in &mut request.inputs {
            tensor.attach(&mut blob)?;
        }
        no_rest(blob)?;
        Ok(request)
    }

    /// Writes a body with its inputs as bytes, and the length of its JSON part.
    pub fn to_binary(mut self) -> Result<(Vec<u8>, usize)> {
        let blobs: Result<Vec<_>> = self.inputs.iter_mut().map(Tensor::detach).collect();
        join(&self, &blobs?)
    }

    /// The one input as rows of `width` features, `[n, width]`.
    pub fn rows(&self, width: usize) -> Result<Array2<f32>> {
        let [input] = self.inputs.as_slice() else {
            return Err(Error::input("inputs", self.inputs.len(), "exactly one tensor"));
        };
        let values = input.values()?;
        let (&n, rest) = input
            .shape
            .split_first()
            .ok_or_else(|| Error::input("inputs[0].shape", "[]", "[rows, features]"))?;
        if n == 0 || rest.is_empty() || values.len() / n != width {
            let expected = format!("[rows, ..] with 1 or more rows of {width} features");
            return Err(Error::input("inputs[0].shape", format!("{:?}", input.shape), expected));
        }
        let flat: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        Array2::from_shape_vec((n, width), flat).map_err(|e| Error::Internal(e.to_string()))
    }

    /// True if `output` is wanted as bytes.
    pub fn wants_binary(&self, output: &str) -> bool {
        let flag = |p: &Option<Parameters>, key: &str| {
            p.as_ref().and_then(|p| p.get(key)).and_then(Value::as_bool)
        };
        self.outputs
            .iter()
            .find(|o| o.name == output)
            .and_then(|o| flag(&o.parameters, "binary_data"))
            .or_else(|| flag(&self.parameters, "binary_data_output"))
            .unwrap_or(false)
    }
}

impl InferReply {
    /// Reads a body; `head` is the value of [`HEADER_LENGTH`], if sent.
    pub fn from_bytes(body: &[u8], head: Option<usize>) -> Result<Self> {
        let (json, mut blob) = split(body, head)?;
        let mut reply: Self = parse(json)?;
        for tensor in &mut reply.outputs {
            tensor.attach(&mut blob)?;
        }
        no_rest(blob)?;
        Ok(reply)
    }

    /// Writes a body with those outputs as bytes that `binary` names. The length of the JSON part
    /// comes with it if there are any. JSON has no NaN or infinity: such values are an error.
    pub fn to_bytes(mut self, binary: impl Fn(&str) -> bool) -> Result<(Vec<u8>, Option<usize>)> {
        let mut blobs = Vec::new();
        for tensor in &mut self.outputs {
            if binary(&tensor.name) {
                blobs.push(tensor.detach()?);
            } else if tensor.data.as_ref().is_some_and(|d| !d.all_finite()) {
                let name = &tensor.name;
                return Err(Error::Internal(format!("output {name} holds values not finite")));
            }
        }
        let (body, head) = join(&self, &blobs)?;
        Ok((body, (!blobs.is_empty()).then_some(head)))
    }
}

impl Tensor {
    /// An array of floats.
    pub fn floats(name: &str, datatype: Datatype, shape: Vec<usize>, values: Vec<f64>) -> Self {
        let data = Some(Data::new(values));
        Self { name: name.into(), shape, datatype: datatype.name().into(), parameters: None, data }
    }

    /// Its elements, flat and row-major, checked against its shape and datatype.
    pub fn values(&self) -> Result<&[f64]> {
        let datatype = Datatype::parse(&self.datatype)?;
        let data = self
            .data
            .as_ref()
            .ok_or_else(|| Error::input(format!("tensor {:?}", self.name), "no data", "data"))?;
        data.check(&self.name, &self.shape, datatype)?;
        Ok(&data.values)
    }

    /// Takes the data out as bytes and notes their length.
    fn detach(&mut self) -> Result<Vec<u8>> {
        let datatype = Datatype::parse(&self.datatype)?;
        let bytes = datatype.write(&self.data.take().unwrap_or_default().values)?;
        let size = Value::from(bytes.len());
        self.parameters.get_or_insert_default().insert("binary_data_size".into(), size);
        Ok(bytes)
    }

    /// Fills the data from the front of `blob` if the tensor says that it travels there.
    fn attach(&mut self, blob: &mut &[u8]) -> Result<()> {
        let key = "binary_data_size";
        let Some(size) = self.parameters.as_ref().and_then(|p| p.get(key)) else { return Ok(()) };
        let bytes = size
            .as_u64()
            .and_then(|s| usize::try_from(s).ok())
            .and_then(|s| blob.split_off(..s))
            .ok_or_else(|| {
                Error::input(key, size, format!("at most the {} bytes that follow", blob.len()))
            })?;
        if self.data.is_some() {
            return Err(Error::input(format!("tensor {:?}", self.name), "both", "data or bytes"));
        }
        self.data = Some(Data::new(Datatype::parse(&self.datatype)?.read(bytes)?));
        Ok(())
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
    serde_json::from_slice(json)
        .map_err(|e| Error::input("body", e, "a JSON object of the protocol"))
}

fn split(body: &[u8], head: Option<usize>) -> Result<(&[u8], &[u8])> {
    let at = head.unwrap_or(body.len());
    body.split_at_checked(at)
        .ok_or_else(|| Error::input(HEADER_LENGTH, at, format!("at most {} bytes", body.len())))
}

fn no_rest(blob: &[u8]) -> Result<()> {
    if blob.is_empty() {
        return Ok(());
    }
    Err(Error::input("body", format!("{} bytes too many", blob.len()), "only announced bytes"))
}

fn join<T: Serialize>(head: &T, blobs: &[Vec<u8>]) -> Result<(Vec<u8>, usize)> {
    let mut body = serde_json::to_vec(head).map_err(|e| Error::Internal(e.to_string()))?;
    let length = body.len();
    blobs.iter().for_each(|b| body.extend_from_slice(b));
    Ok((body, length))
}

#[cfg(test)]
mod tests;
