use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Image;

/// Bytes as base64.
pub(crate) fn base64(data: &[u8]) -> String {
    STANDARD.encode(data)
}

/// The picture as a URL: its own, or one that holds it (RFC 2397).
pub(crate) fn url(image: &Image) -> String {
    match image {
        Image::Bytes { media_type, data } => format!("data:{media_type};base64,{}", base64(data)),
        Image::Url(url) => url.clone(),
    }
}
