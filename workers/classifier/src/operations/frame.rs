//! How an image lies in memory.
//!
//! Pixel after pixel, row after row, each pixel with its channels (NHWC), around it a border of one pixel of zeros: a
//! 3x3 convolution reads over the edge without asking. A batch is a tensor of (images, pixels with border, channels).
//! The number of channels is brought up to a multiple of [`BLOCK`] with channels of zeros.

/// Channels are computed in blocks of this many: the vector of AVX-512, two of AVX2, four of SSE2.
pub const BLOCK: usize = 16;

/// Width, height and channels of images with their border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Pixels in a row and in a column, without the border.
    pub side: usize,
    /// Channels, with those of zeros.
    pub channels: usize,
}

impl Frame {
    pub const fn new(side: usize, channels: usize) -> Self {
        Self { side, channels }
    }

    /// A frame with room for these channels in whole blocks.
    pub const fn in_blocks(side: usize, channels: usize) -> Self {
        Self { side, channels: channels.next_multiple_of(BLOCK) }
    }

    /// Pixels in a row with the border, and so the distance from a pixel to the one below it.
    pub const fn pitch(self) -> usize {
        self.side + 2
    }

    /// Pixels of an image with its border.
    pub const fn pixels(self) -> usize {
        self.pitch() * self.pitch()
    }

    /// Numbers of an image with its border.
    pub const fn values(self) -> usize {
        self.pixels() * self.channels
    }

    /// Where in an image the numbers of a pixel start, counted without the border.
    pub const fn pixel(self, y: usize, x: usize) -> usize {
        ((y + 1) * self.pitch() + x + 1) * self.channels
    }
}

/// Goes over the cells of a batch of square images, row by row: (image, row, column). Counted up, since to divide takes
/// longer than to copy what a pixel sees.
pub struct Raster {
    side: usize,
    next: (usize, usize, usize),
}

impl Raster {
    /// `side` cells in a row and in a column.
    pub const fn new(side: usize) -> Self {
        Self { side, next: (0, 0, 0) }
    }

    /// The next cell, in the next image after the last of one.
    #[inline(always)]
    pub const fn step(&mut self) -> (usize, usize, usize) {
        let (image, row, column) = self.next;
        self.next = if column + 1 < self.side {
            (image, row, column + 1)
        } else if row + 1 < self.side {
            (image, row + 1, 0)
        } else {
            (image + 1, 0, 0)
        };
        (image, row, column)
    }
}
