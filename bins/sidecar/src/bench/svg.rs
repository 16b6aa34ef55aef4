//! A chart of the speeds: a bar for each, and a line along a long stream.

use std::fmt::Write;

use super::report::Report;
use super::sample::Sample;
use super::table::number;

const WIDTH: usize = 720;
/// Where bars begin, after their names.
const LEFT: usize = 220;
/// Length of the longest bar, with room after it for its number.
const LONGEST: f64 = 400.0;
const LINE: usize = 28;
const CHART_HEIGHT: f64 = 120.0;

/// Renders a whole SVG file. Each group of bars has a scale of its own.
pub(super) fn render(report: &Report) -> String {
    let mut top = LINE;
    let mut body = String::new();
    text(&mut body, 16, top, &report.model);
    let prefill = report
        .prefill
        .iter()
        .map(|prefill| (format!("prefill of {}", prefill.prompt.len()), prefill.speeds()));
    let decode = report
        .decode
        .iter()
        .map(|decode| (format!("decode at {}", decode.prompt.len()), decode.speeds()));
    let conversations = report
        .conversations
        .iter()
        .map(|concurrency| (format!("{} at once", concurrency.count), concurrency.speeds()));
    for bars in [prefill.collect::<Vec<_>>(), decode.collect(), conversations.collect()] {
        top += if bars.is_empty() { 0 } else { LINE / 2 };
        let longest = bars
            .iter()
            .map(|(_, speeds)| speeds.median())
            .fold(f64::MIN_POSITIVE, f64::max);
        for (name, speeds) in &bars {
            top += LINE;
            bar(&mut body, top, name, speeds, longest);
        }
    }
    if let Some(stream) = &report.stream {
        top += 2 * LINE;
        text(
            &mut body,
            16,
            top,
            &format!("ms a token along a stream of {} tokens", stream.tokens),
        );
        line_chart(&mut body, top + LINE / 2, &stream.block_ms);
        top += LINE / 2 + CHART_HEIGHT as usize;
    }
    let height = top + LINE;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"14\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

fn bar(body: &mut String, top: usize, name: &str, speeds: &Sample, longest: f64) {
    let length = LONGEST * speeds.median() / longest;
    text(body, 16, top, name);
    let (y, height) = (top - 14, 18);
    line(
        body,
        &format!("<rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{height}\" fill=\"#4878a8\"/>"),
    );
    let label = format!("{} tok/s", number(speeds.median()));
    text(body, LEFT + 8 + length as usize, top, &label);
}

/// Draws a line from the first block to the last; its scale begins at 0, so that a flat cost looks flat.
fn line_chart(body: &mut String, top: usize, blocks: &Sample) {
    let (highest, last) = (blocks.max(), (blocks.0.len().max(2) - 1) as f64);
    let mut points = String::new();
    for (idx, ms) in blocks.0.iter().enumerate() {
        let x = 16.0 + (WIDTH - 100) as f64 * idx as f64 / last;
        let y = top as f64 + CHART_HEIGHT * (1.0 - ms / highest);
        write!(points, "{x:.1},{y:.1} ").expect("a String takes everything");
    }
    let points = points.trim_end();
    line(
        body,
        &format!("<polyline points=\"{points}\" fill=\"none\" stroke=\"#4878a8\" stroke-width=\"2\"/>"),
    );
    text(body, WIDTH - 76, top + 12, &format!("{} ms", number(highest)));
    text(body, WIDTH - 76, top + CHART_HEIGHT as usize, "0 ms");
}

fn text(body: &mut String, x: usize, y: usize, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    line(body, &format!("<text x=\"{x}\" y=\"{y}\">{content}</text>"));
}

fn line(body: &mut String, element: &str) {
    body.push_str(element);
    body.push('\n');
}
