//! A JSON Schema as a short list of alternatives, each a plain shape.
//!
//! References, `allOf`, `oneOf` and `anyOf` are multiplied out, `null` is dropped (TOML has none), and
//! a table is closed unless the schema opens it: a key that nothing reads is a slip, not a comment.

use schemars::JsonSchema;
use serde_json::Value as Json;

use super::tree::Value;

/// The schema of a spec.
pub struct Schema {
    root: Json,
}

/// What keys beyond the named ones a table may have.
#[derive(Clone, Copy, Debug, Default)]
pub enum Extra<'s> {
    #[default]
    Closed,
    Each(&'s Json),
}

/// One alternative.
#[derive(Clone, Debug, Default)]
pub struct Shape<'s> {
    /// JSON type names; empty means any.
    pub types: Vec<&'s str>,
    /// The only values allowed.
    pub choices: Option<Vec<&'s Json>>,
    pub properties: Vec<(&'s str, &'s Json)>,
    pub required: Vec<&'s str>,
    pub extra: Extra<'s>,
    /// Schemas of the first entries of a list, then of the rest.
    pub prefix: Vec<&'s Json>,
    pub items: Option<&'s Json>,
    pub length: (Option<u64>, Option<u64>),
    /// Lowest and highest number; true if the bound itself is out.
    pub low: Option<(f64, bool)>,
    pub high: Option<(f64, bool)>,
}

impl Schema {
    /// The schema of `T`.
    pub fn of<T: JsonSchema>() -> Self {
        Self { root: schemars::schema_for!(T).to_value() }
    }

    /// The whole document.
    pub fn root(&self) -> &Json {
        &self.root
    }

    /// All alternatives of a schema.
    pub fn shapes<'s>(&'s self, schema: &'s Json) -> Vec<Shape<'s>> {
        let Some(own) = Shape::own(schema) else { return Vec::new() };
        let mut out = vec![own];
        if let Some(target) = schema.get("$ref").and_then(Json::as_str) {
            let target = target.strip_prefix('#').and_then(|p| self.root.pointer(p));
            out = cross(&out, &target.map_or_else(Vec::new, |t| self.shapes(t)));
        }
        for part in list(schema, "allOf") {
            out = cross(&out, &self.shapes(part));
        }
        for key in ["oneOf", "anyOf"] {
            if schema.get(key).is_some() {
                let any = list(schema, key).iter().flat_map(|s| self.shapes(s)).collect::<Vec<_>>();
                out = cross(&out, &any);
            }
        }
        out
    }
}

impl<'s> Shape<'s> {
    /// What the schema says itself, without references and alternatives. `None` if nothing fits.
    fn own(schema: &'s Json) -> Option<Self> {
        if schema == &Json::Bool(false) {
            return None;
        }
        let types: Vec<&str> = match schema.get("type") {
            Some(Json::String(one)) => vec![one],
            Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
            _ => Vec::new(),
        };
        let named = !types.is_empty();
        let types: Vec<&str> = types.into_iter().filter(|t| *t != "null").collect();
        if named && types.is_empty() {
            return None;
        }
        let choices = match (schema.get("const"), schema.get("enum")) {
            (Some(one), _) => Some(vec![one]),
            (None, Some(Json::Array(many))) => Some(many.iter().filter(|v| !v.is_null()).collect()),
            _ => None,
        };
        let number = |key: &str| schema.get(key).and_then(Json::as_f64);
        let bound = |key: &str, open: &str| {
            number(open).map(|x| (x, true)).or(number(key).map(|x| (x, false)))
        };
        let properties = schema.get("properties").and_then(Json::as_object);
        let length = |key: &str| schema.get(key).and_then(Json::as_u64);
        Some(Self {
            types,
            choices,
            properties: properties
                .map(|p| p.iter().map(|(k, v)| (k.as_str(), v)).collect())
                .unwrap_or_default(),
            required: list(schema, "required").iter().filter_map(Json::as_str).collect(),
            extra: match schema.get("additionalProperties").or(schema.get("unevaluatedProperties"))
            {
                None | Some(Json::Bool(false)) => Extra::Closed,
                Some(each) => Extra::Each(each),
            },
            prefix: list(schema, "prefixItems").iter().collect(),
            items: schema.get("items"),
            length: (length("minItems"), length("maxItems")),
            low: bound("minimum", "exclusiveMinimum"),
            high: bound("maximum", "exclusiveMaximum").or(format_bound(schema)),
        })
    }

    /// Both at once; `None` if they exclude each other.
    fn and(&self, other: &Self) -> Option<Self> {
        let mut both = self.clone();
        both.types = match (self.types.is_empty(), other.types.is_empty()) {
            (true, _) => other.types.clone(),
            (_, true) => self.types.clone(),
            _ => self.types.iter().filter(|t| other.types.contains(t)).copied().collect(),
        };
        if both.types.is_empty() && !(self.types.is_empty() && other.types.is_empty()) {
            return None;
        }
        both.choices = match (&self.choices, &other.choices) {
            (Some(a), Some(b)) => Some(a.iter().filter(|v| b.contains(v)).copied().collect()),
            (a, b) => a.clone().or(b.clone()),
        };
        for (key, schema) in &other.properties {
            if both.property(key).is_none() {
                both.properties.push((key, schema));
            }
        }
        both.required.extend(&other.required);
        if let Extra::Each(_) = other.extra {
            both.extra = other.extra;
        }
        if both.prefix.is_empty() {
            both.prefix = other.prefix.clone();
        }
        both.items = self.items.or(other.items);
        both.length = (self.length.0.or(other.length.0), self.length.1.or(other.length.1));
        both.low = self.low.or(other.low);
        both.high = self.high.or(other.high);
        Some(both)
    }

    /// The schema of a named key.
    pub fn property(&self, key: &str) -> Option<&'s Json> {
        self.properties.iter().find(|(k, _)| *k == key).map(|(_, s)| *s)
    }

    /// The one value that a required key must have, such as `kind = "round"`.
    pub fn constant(&self, key: &str) -> Option<&'s str> {
        let schema = self.property(key).filter(|_| self.required.contains(&key))?;
        match (schema.get("const"), list(schema, "enum")) {
            (Some(one), _) | (None, [one]) => one.as_str(),
            _ => None,
        }
    }

    /// The tag of this alternative: its first constant key and the value.
    pub fn tag(&self) -> Option<(&'s str, &'s str)> {
        self.properties.iter().find_map(|(k, _)| Some((*k, self.constant(k)?)))
    }

    /// True if a value has one of the allowed types. An integer is also a number.
    pub fn fits(&self, value: &Value) -> bool {
        let any = self.types.is_empty();
        let is = |name: &str| self.types.contains(&name);
        match value {
            Value::Table(_) => any || is("object"),
            Value::List(_) => any || is("array"),
            Value::String(_) => any || is("string"),
            Value::Integer(_) => any || is("integer") || is("number"),
            Value::Float(_) => any || is("number"),
            Value::Boolean(_) => any || is("boolean"),
            Value::Datetime(_) => any,
        }
    }

    /// True if the table may be anything at all.
    pub fn is_open(&self) -> bool {
        self.types.is_empty() && self.properties.is_empty()
    }
}

/// Every pair that goes together.
fn cross<'s>(left: &[Shape<'s>], right: &[Shape<'s>]) -> Vec<Shape<'s>> {
    left.iter().flat_map(|a| right.iter().filter_map(move |b| a.and(b))).collect()
}

fn list<'s>(schema: &'s Json, key: &str) -> &'s [Json] {
    schema.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// The highest value of the integer types whose schema only names the format.
fn format_bound(schema: &Json) -> Option<(f64, bool)> {
    match schema.get("format").and_then(Json::as_str) {
        Some("uint32") => Some((f64::from(u32::MAX), false)),
        Some("int32") => Some((f64::from(i32::MAX), false)),
        _ => None,
    }
}
