//! Data for a page's script.

use anyhow::Context;
use serde::Serialize;

/// JSON that is safe in a `script` element. Outside strings JSON has none of the escaped characters.
///
/// # Errors
/// When the value cannot be serialised.
pub fn data_block(value: &impl Serialize) -> anyhow::Result<String> {
    let json = serde_json::to_string(value).context("cannot write the page's data")?;
    Ok(json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_end_its_element() {
        let block = data_block(&"</script><!--&").unwrap();
        assert_eq!(block, r#""\u003c/script\u003e\u003c!--\u0026""#);
        assert_eq!(serde_json::from_str::<String>(&block).unwrap(), "</script><!--&");
    }
}
