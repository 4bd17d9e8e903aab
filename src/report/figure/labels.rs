//! Where to write so that no two labels overlap.

/// A box on the picture, in pixels: left, top, right, bottom.
pub(super) type Place = (i32, i32, i32, i32);

/// Moves labels of one column apart: `wanted` heights to heights at least `gap` apart within
/// `top..=bottom`, order kept and moves small. Answers in the order given.
pub(super) fn spread(wanted: &[i32], gap: i32, top: i32, bottom: i32) -> Vec<i32> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|&i| wanted[i]);
    let mut placed = wanted.to_vec();
    let mut least = top;
    for &i in &order {
        placed[i] = wanted[i].max(least);
        least = placed[i] + gap;
    }
    let mut most = bottom;
    for &i in order.iter().rev() {
        placed[i] = placed[i].min(most);
        most = placed[i] - gap;
    }
    placed
}

/// A box of `size` near `point` that touches none of `taken` and stays in `frame`; to the right where
/// there is room. The last resort is the first candidate.
pub(super) fn near(point: (i32, i32), size: (i32, i32), taken: &[Place], frame: Place) -> Place {
    let boxed = |x: i32, y: i32| (x, y, x + size.0, y + size.1);
    let (x, y) = point;
    let middle = y - size.1 / 2;
    let mut candidates = Vec::new();
    for far in 0..14 {
        let d = 9 + 9 * far;
        candidates.extend([
            boxed(x + d, middle),
            boxed(x + d, middle - d),
            boxed(x + d, middle + d),
            boxed(x - d - size.0, middle),
            boxed(x - size.0 / 2, y - d - size.1),
            boxed(x - size.0 / 2, y + d),
            boxed(x - d - size.0, middle - d),
            boxed(x - d - size.0, middle + d),
        ]);
    }
    let inside = |a: &Place| a.0 >= frame.0 && a.1 >= frame.1 && a.2 <= frame.2 && a.3 <= frame.3;
    let free = |a: &&Place| inside(a) && taken.iter().all(|b| !overlap(a, b));
    candidates.iter().find(free).copied().unwrap_or(candidates[0])
}

fn overlap(a: &Place, b: &Place) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_labels_keep_their_order_and_distance() {
        assert_eq!(spread(&[50, 10, 12], 10, 0, 100), vec![50, 10, 20]);
        assert_eq!(spread(&[98, 99, 100], 10, 0, 100), vec![80, 90, 100]);
        assert!(spread(&[], 10, 0, 100).is_empty());
    }

    #[test]
    fn a_crowd_of_labels_has_no_overlap() {
        let mut taken: Vec<Place> = Vec::new();
        for i in 0..8 {
            let point = (100 + 3 * i, 200 + 4 * i);
            taken.push(near(point, (70, 14), &taken, (0, 0, 600, 400)));
        }
        for (i, a) in taken.iter().enumerate() {
            assert!(taken[i + 1..].iter().all(|b| !overlap(a, b)), "{taken:?}");
        }
    }
}
