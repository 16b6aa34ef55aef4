//! Reads one row of a Q8_0 matrix.

use streaming_llm_quant::{BlockType, QuantError, dequantize};

fn main() -> Result<(), QuantError> {
    // Two blocks of 32 values: the scale 0.5 as an f16, then the values in steps of the scale.
    let mut row = Vec::new();
    for block in 0..2_i8 {
        row.extend([0x00, 0x38]);
        row.extend((0..32_i8).map(|i| (i - 16 * block) as u8));
    }
    let mut values = [0.0; 64];
    dequantize(BlockType::Q8_0, &row, &mut values)?;
    println!("{values:?}");
    assert_eq!((values[3], values[32]), (1.5, -8.0));
    Ok(())
}
