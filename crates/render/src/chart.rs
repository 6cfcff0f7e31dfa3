//! Draws charts as SVG for the page.
//!
//! plotters draws axes and marks and writes colours into attributes. Each colour here is the light page's; the style
//! sheet finds it by its attribute and replaces it on a dark page. Titles of axes and the text alternative are added in
//! both languages, from the strings `chart.<name>.title`, `.x` and `.y` and a description.

use std::ops::Range;

use anyhow::Context;
use minijinja::HtmlEscape;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use midashi_page::{Bilingual, Strings};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Units of the view box. plotters rounds to whole units; the page shows a chart at about half this size.
pub const SIZE: (u32, u32) = (960, 600);
/// Font of labels.
pub const FONT: (&str, u32) = ("sans-serif", 35);
/// plotters scales a font of 35 to 28.2.
const TITLE_SIZE: u32 = 29;
/// Margins; the right one has room for half of the last label.
const MARGIN: u32 = 12;
const RIGHT_MARGIN: u32 = 36;
/// Room for labels and titles at the axes.
const X_LABELS: u32 = 92;
const Y_LABELS: u32 = 148;

/// Axes and text.
pub const INK: RGBColor = RGBColor(0x5b, 0x64, 0x72);
const GRID: RGBColor = RGBColor(0xe1, 0xe5, 0xea);
/// Secondary marks, such as single steps.
pub const PALE: RGBColor = RGBColor(0xa9, 0xc1, 0xdf);
/// The main data.
pub const STRONG: RGBColor = RGBColor(0x1f, 0x4e, 0x8c);
/// The data it is compared with; always drawn as triangles or dashes too, so that colour is not needed.
pub const OTHER: RGBColor = RGBColor(0xb2, 0x46, 0x14);

/// A dashed line.
pub fn dashed(
    points: impl IntoIterator<Item = (f64, f64)>,
    style: ShapeStyle,
) -> DashedLineSeries<std::vec::IntoIter<(f64, f64)>, u32> {
    DashedLineSeries::new(points.into_iter().collect::<Vec<_>>(), 16, 10, style)
}

/// Draws axes that begin at 0 vertically, and the marks that `fill` draws.
///
/// # Errors
/// When plotters fails.
pub fn draw(
    x: Range<f64>,
    top: f64,
    axes: &Axes,
    fill: impl FnOnce(&mut Chart) -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    let mut svg = String::new();
    let area: Area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(MARGIN)
        .margin_right(RIGHT_MARGIN)
        .x_label_area_size(X_LABELS)
        .y_label_area_size(Y_LABELS)
        .build_cartesian_2d(x, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(2))
        .axis_style(INK.stroke_width(2))
        .label_style(FONT.into_font().color(&INK))
        .x_labels(axes.x_labels)
        .y_labels(6)
        .x_label_formatter(&|value| (axes.x_label)(*value))
        .y_label_formatter(&|value| (axes.y_label)(*value))
        .draw()?;
    fill(&mut chart)?;
    drop(chart);
    area.present()?;
    drop(area);
    Ok(svg)
}

/// The labels of the axes.
pub struct Axes {
    /// The greatest number of labels below the chart.
    pub x_labels: usize,
    /// Writes a number at the horizontal axis.
    pub x_label: fn(f64) -> String,
    /// Writes a number at the vertical axis.
    pub y_label: fn(f64) -> String,
}

/// Plain numbers on both axes.
pub const NUMBERS: Axes = Axes { x_labels: 6, x_label: short, y_label: short };

/// At most two decimals.
pub fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Whole numbers; nothing for numbers between them.
pub fn whole(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { String::new() }
}

/// Scientific notation, such as `5e-5`.
pub fn scientific(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{:e}", (value * 1e9).round() / 1e9) }
}

/// Percent without decimals; nothing above 100 %, where a chart only has room.
pub fn percent(share: f64) -> String {
    if share > 1.0 + 1e-9 { String::new() } else { format!("{:.0}", 100.0 * share) }
}

/// Adds titles and a description in both languages to plotters' SVG, and removes its fixed size.
///
/// # Errors
/// When a string is missing.
pub fn described(
    svg: &str,
    name: &str,
    strings: &Strings,
    sentences: &[Bilingual],
) -> anyhow::Result<String> {
    let body = svg.split_once('>').and_then(|(_, body)| body.trim_end().strip_suffix("</svg>"));
    let body = body.context("plotters wrote no SVG")?;
    let (width, height) = SIZE;
    let (left, right) = (MARGIN + Y_LABELS, width - RIGHT_MARGIN);
    let (middle, upper) = ((left + right) / 2, (height - X_LABELS) / 2);
    let axis = |of: &str, place: String| {
        let title = strings.say(&format!("chart.{name}.{of}"), &[])?;
        let place = format!(" text-anchor=\"middle\" font-size=\"{TITLE_SIZE}\" {place}");
        anyhow::Ok(escaped(title).in_elements("text", &place))
    };
    let alternative = |element: &str, text: Bilingual| {
        let of = |language, text: String| {
            format!(
                "<{element} id=\"{name}-chart-{element}-{language}\" lang=\"{language}\">{text}</{element}>"
            )
        };
        let Bilingual { en, ja } = escaped(text);
        of("en", en) + &of("ja", ja)
    };
    let joined = |language: fn(&Bilingual) -> &str, between: &str| {
        sentences.iter().map(language).collect::<Vec<_>>().join(between)
    };
    let description = Bilingual { en: joined(|text| &text.en, " "), ja: joined(|text| &text.ja, "") };
    Ok(format!(
        "<svg class=\"chart\" id=\"{name}-chart\" viewBox=\"0 0 {width} {height}\" \
         xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-labelledby=\"{name}-chart-title-en {name}-chart-desc-en\">\n\
         {}\n{}{body}{}\n{}\n</svg>",
        alternative("title", strings.say(&format!("chart.{name}.title"), &[])?),
        alternative("desc", description),
        axis("x", format!("x=\"{middle}\" y=\"{}\"", height - MARGIN))?,
        axis("y", format!("transform=\"translate({} {upper}) rotate(-90)\"", MARGIN + TITLE_SIZE - 6))?,
    ))
}

fn escaped(text: Bilingual) -> Bilingual {
    Bilingual { en: HtmlEscape(&text.en).to_string(), ja: HtmlEscape(&text.ja).to_string() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short() {
        assert_eq!([0.0, 0.5, 1.0, 0.25].map(short), ["0", "0.5", "1", "0.25"]);
        assert_eq!([1.0, 1.5].map(whole), ["1", ""]);
        assert_eq!([0.0, 5e-5, 0.000_150_000_000_1, 1.0].map(scientific), ["0", "5e-5", "1.5e-4", "1e0"]);
        assert_eq!([0.0, 0.2, 1.0, 1.1].map(percent), ["0", "20", "100", ""]);
    }

    #[test]
    fn a_chart_has_titles_and_a_text_alternative_in_both_languages() {
        let svg = draw(0.0..1.0, 1.0, &NUMBERS, |_| Ok(())).unwrap();
        let strings = crate::strings::read([include_str!("../templates/sections/training.html")]).unwrap();
        let sentence = Bilingual { en: "Loss & more.".into(), ja: "損失など。".into() };
        let svg = described(&svg, "loss", &strings, &[sentence.clone(), sentence]).unwrap();
        for part in [
            "role=\"img\" aria-labelledby=\"loss-chart-title-en loss-chart-desc-en\"",
            "<desc id=\"loss-chart-desc-en\" lang=\"en\">Loss &amp; more. Loss &amp; more.</desc>",
            "<desc id=\"loss-chart-desc-ja\" lang=\"ja\">損失など。損失など。</desc>",
            "rotate(-90)\">Loss (nats per text)</text>",
            "<text class=\"said\" lang=\"ja\"",
        ] {
            assert!(svg.contains(part), "{part} is missing:\n{svg}");
        }
        assert!(!svg.contains("style="), "the page's policy forbids inline styles");
    }
}
