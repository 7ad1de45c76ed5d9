//! Quantities of memory and storage, as bytes.

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};

/// Why a quantity is not a number of bytes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not a size: write a number with a unit, such as 512Mi or 2Gi")]
pub struct NotASize(String);

/// A quantity among resources that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{part}.{name} is \"{text}\": write a number with a unit and without spaces, such as 500m or 512Mi")]
pub struct NotAQuantity {
    part: &'static str,
    name: String,
    text: String,
}

/// That all requests and limits are quantities. The API server says so too, but not so that it can be told from a
/// failure of its own.
pub fn check(resources: &ResourceRequirements) -> Result<(), NotAQuantity> {
    let parts = [("requests", &resources.requests), ("limits", &resources.limits)];
    for (part, quantities) in parts {
        for (name, quantity) in quantities.iter().flatten() {
            if bytes(quantity).is_err() {
                return Err(NotAQuantity { part, name: name.clone(), text: quantity.0.clone() });
            }
        }
    }
    Ok(())
}

/// The bytes that a quantity such as `512Mi`, `1.5Gi` or `2e9` stands for, rounded down. As in the API server, what is
/// larger than a signed integer of 64 bits is the largest of these.
///
/// The notation is that of the
/// [Kubernetes API](https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/).
pub fn bytes(quantity: &Quantity) -> Result<u64, NotASize> {
    Ok(value(&quantity.0)?.min(i64::MAX as f64) as u64)
}

/// Whether two texts are the same quantity, as `1024Mi` and `1Gi`.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || matches!((value(one), value(other)), (Ok(one), Ok(other)) if one == other)
}

fn value(text: &str) -> Result<f64, NotASize> {
    let refused = || NotASize(text.to_owned());
    let unit_at = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-' | 'e' | 'E')).unwrap_or(text.len());
    let (number, unit) = match &text[unit_at..] {
        // `E` is the unit exa at the end of a number and an exponent within.
        "" if text.ends_with('E') => (&text[..text.len() - 1], "E"),
        "i" if text[..unit_at].ends_with('E') => (&text[..unit_at - 1], "Ei"),
        unit => (&text[..unit_at], unit),
    };
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    // The API server reads a unit without digits as none of it.
    let number: f64 = format!("0{digits}").parse().map_err(|_| refused())?;
    let value = number * factor(unit).ok_or_else(refused)?;
    if text.is_empty() || value.is_nan() || (value > 0.0 && text.starts_with('-')) {
        return Err(refused());
    }
    Ok(value)
}

fn factor(unit: &str) -> Option<f64> {
    const UNITS: [(&str, &str); 6] = [("k", "Ki"), ("M", "Mi"), ("G", "Gi"), ("T", "Ti"), ("P", "Pi"), ("E", "Ei")];
    match unit {
        "" => return Some(1.0),
        "m" => return Some(1e-3),
        "u" => return Some(1e-6),
        "n" => return Some(1e-9),
        _ => {}
    }
    (1..).zip(UNITS).find_map(|(power, (decimal, binary))| match unit {
        _ if unit == decimal => Some(1000f64.powi(power)),
        _ if unit == binary => Some(1024f64.powi(power)),
        _ => None,
    })
}

/// The quantity of so many mebibytes.
pub fn mebibytes(number: u64) -> Quantity {
    Quantity(format!("{number}Mi"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_the_api_has_them() {
        let sizes = [
            ("512Mi", 512 << 20),
            ("1.5Gi", 3 << 29),
            ("2e9", 2_000_000_000),
            ("10M", 10_000_000),
            ("64k", 64_000),
            ("1E", 1_000_000_000_000_000_000),
            ("1Ei", 1 << 60),
            ("1000m", 1),
            ("3000000u", 3),
            ("2000000000n", 2),
            ("4096", 4096),
            ("1.", 1),
            (".5Ki", 512),
            ("Gi", 0),
            ("e3", 0),
            (".", 0),
            ("+1Ki", 1024),
            ("9e99", i64::MAX.unsigned_abs() + 1),
        ];
        for (text, expected) in sizes {
            assert_eq!(bytes(&Quantity(text.into())), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "2 GB", "-1Gi", "many", " 2Gi", "1.2.3", "1e", "inf", "NaN"] {
            let message = bytes(&Quantity(text.into())).unwrap_err().to_string();
            assert!(message.contains("such as 512Mi"), "{message}");
        }
    }
}
