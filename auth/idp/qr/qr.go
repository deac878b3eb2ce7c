// Package qr draws QR codes (ISO/IEC 18004) of short texts: byte mode, error
// correction level M, versions 1 to 9. It reads none.
package qr

import (
	"fmt"
	"strings"
)

// Max is the longest text, in bytes.
const Max = 180

// version is what the standard says of a size at level M.
type version struct {
	ec      int   // error correction codewords of a block
	blocks  []int // data codewords of each block
	centres []int // of alignment patterns, in both directions
}

var versions = [...]version{
	{10, []int{16}, nil},
	{16, []int{28}, []int{6, 18}},
	{26, []int{44}, []int{6, 22}},
	{18, []int{32, 32}, []int{6, 26}},
	{24, []int{43, 43}, []int{6, 30}},
	{16, []int{27, 27, 27, 27}, []int{6, 34}},
	{18, []int{31, 31, 31, 31}, []int{6, 22, 38}},
	{22, []int{38, 38, 39, 39}, []int{6, 24, 42}},
	{22, []int{36, 36, 36, 37, 37}, []int{6, 26, 46}},
}

func (v *version) capacity() (n int) {
	for _, b := range v.blocks {
		n += b
	}
	return n
}

// A grid is a code: true is dark.
type grid struct {
	size        int
	dark, fixed [][]bool // fixed modules carry no data
}

// Path is the code as the data of an SVG path, a module being 1 by 1 from
// (0, 0), and its size; ok is false when the text is too long. There must be
// four modules of white around it.
func Path(text string) (path string, size int, ok bool) {
	g := encode(text)
	if g == nil {
		return "", 0, false
	}
	var b strings.Builder
	for y, row := range g.dark {
		for x := 0; x < g.size; x++ {
			from := x
			for x < g.size && row[x] {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from, y, x-from, x-from)
			}
		}
	}
	return b.String(), g.size, true
}

func encode(text string) *grid {
	if len(text) > Max {
		return nil
	}
	n := 1
	for versions[n-1].capacity() < len(text)+2 {
		n++
	}
	v := &versions[n-1]
	g := newGrid(n, v)
	g.place(interleave(v, bytesOf(v, text)))
	best, least := 0, 0
	for mask := range 8 {
		g.mask(mask)
		g.format(mask)
		if p := g.penalty(); mask == 0 || p < least {
			best, least = mask, p
		}
		g.mask(mask) // again: off
	}
	g.mask(best)
	g.format(best)
	return g
}

// bytesOf are the data codewords: mode, length, text, padding.
func bytesOf(v *version, text string) []byte {
	out := make([]byte, 0, v.capacity())
	last := byte(4) // the mode, and from then on the half of a byte that waits
	for _, b := range append([]byte{byte(len(text))}, text...) {
		out = append(out, last<<4|b>>4)
		last = b & 15
	}
	out = append(out, last<<4)
	for pad := byte(0xec); len(out) < cap(out); pad ^= 0xec ^ 0x11 {
		out = append(out, pad)
	}
	return out
}

// interleave adds error correction to each block and mixes the blocks.
func interleave(v *version, data []byte) (out []byte) {
	var blocks, checks [][]byte
	longest := 0
	for _, n := range v.blocks {
		blocks = append(blocks, data[:n])
		checks = append(checks, correction(data[:n], v.ec))
		data, longest = data[n:], max(longest, n)
	}
	for i := range longest {
		for _, b := range blocks {
			if i < len(b) {
				out = append(out, b[i])
			}
		}
	}
	for i := range v.ec {
		for _, c := range checks {
			out = append(out, c[i])
		}
	}
	return out
}

// times multiplies in GF(256) of the polynomial 0x11d.
func times(a, b byte) (p byte) {
	for ; b > 0; b >>= 1 {
		if b&1 != 0 {
			p ^= a
		}
		carry := a >> 7
		a = a<<1 ^ carry*0x1d
	}
	return p
}

// correction is the Reed-Solomon remainder of n bytes.
func correction(data []byte, n int) []byte {
	gen := make([]byte, n) // without the leading 1, highest power first
	gen[n-1] = 1
	root := byte(1)
	for range n {
		for j := range gen {
			gen[j] = times(gen[j], root)
			if j+1 < n {
				gen[j] ^= gen[j+1]
			}
		}
		root = times(root, 2)
	}
	rem := make([]byte, n)
	for _, b := range data {
		factor := b ^ rem[0]
		copy(rem, rem[1:])
		rem[n-1] = 0
		for j := range rem {
			rem[j] ^= times(gen[j], factor)
		}
	}
	return rem
}

func newGrid(n int, v *version) *grid {
	g := &grid{size: 17 + 4*n}
	for range g.size {
		g.dark = append(g.dark, make([]bool, g.size))
		g.fixed = append(g.fixed, make([]bool, g.size))
	}
	for i := range g.size { // timing
		g.set(i, 6, i%2 == 0)
		g.set(6, i, i%2 == 0)
	}
	for _, c := range [][2]int{{3, 3}, {g.size - 4, 3}, {3, g.size - 4}} { // finders
		g.square(c[0], c[1], 4, func(d int) bool { return d != 2 && d != 4 })
	}
	for _, x := range v.centres {
		for _, y := range v.centres {
			last := g.size - 7
			if x == 6 && y == 6 || x == 6 && y == last || x == last && y == 6 {
				continue
			}
			g.square(x, y, 2, func(d int) bool { return d != 1 })
		}
	}
	g.format(0)
	if n >= 7 {
		bits := n<<12 | remainder(n<<12, 0x1f25, 12)
		for i := range 18 {
			a, b := g.size-11+i%3, i/3
			g.set(a, b, bits>>i&1 == 1)
			g.set(b, a, bits>>i&1 == 1)
		}
	}
	return g
}

func (g *grid) set(x, y int, dark bool) { g.dark[y][x], g.fixed[y][x] = dark, true }

// square draws rings around a centre.
func (g *grid) square(cx, cy, r int, dark func(d int) bool) {
	for y := cy - r; y <= cy+r; y++ {
		for x := cx - r; x <= cx+r; x++ {
			if x >= 0 && y >= 0 && x < g.size && y < g.size {
				g.set(x, y, dark(max(abs(x-cx), abs(y-cy))))
			}
		}
	}
}

func abs(n int) int { return max(n, -n) }

// remainder of a BCH code.
func remainder(bits, poly, degree int) int {
	for i := 31; i >= degree; i-- {
		if bits>>i&1 == 1 {
			bits ^= poly << (i - degree)
		}
	}
	return bits
}

// format says the level, M, and the mask, twice.
func (g *grid) format(mask int) {
	bits := (mask<<10 | remainder(mask<<10, 0x537, 10)) ^ 0x5412
	for i := range 15 {
		dark := bits>>i&1 == 1
		switch { // around the first finder
		case i < 6:
			g.set(8, i, dark)
		case i < 8:
			g.set(8, i+1, dark)
		case i == 8:
			g.set(7, 8, dark)
		default:
			g.set(14-i, 8, dark)
		}
		if i < 8 { // at the other two
			g.set(g.size-1-i, 8, dark)
		} else {
			g.set(8, g.size-15+i, dark)
		}
	}
	g.set(8, g.size-8, true)
}

// place fills in the data, in columns of two from the right, up and down.
func (g *grid) place(data []byte) {
	i := 0
	for right := g.size - 1; right > 0; right -= 2 {
		if right == 6 {
			right--
		}
		for k := range g.size {
			y := k
			if (right+1)&2 == 0 {
				y = g.size - 1 - k
			}
			for _, x := range []int{right, right - 1} {
				if !g.fixed[y][x] && i < 8*len(data) {
					g.dark[y][x] = data[i/8]>>(7-i%8)&1 == 1
					i++
				}
			}
		}
	}
}

func (g *grid) mask(n int) {
	for y := range g.size {
		for x := range g.size {
			if g.fixed[y][x] {
				continue
			}
			var flip bool
			switch n {
			case 0:
				flip = (x+y)%2 == 0
			case 1:
				flip = y%2 == 0
			case 2:
				flip = x%3 == 0
			case 3:
				flip = (x+y)%3 == 0
			case 4:
				flip = (x/3+y/2)%2 == 0
			case 5:
				flip = x*y%2+x*y%3 == 0
			case 6:
				flip = (x*y%2+x*y%3)%2 == 0
			case 7:
				flip = ((x+y)%2+x*y%3)%2 == 0
			}
			g.dark[y][x] = g.dark[y][x] != flip
		}
	}
}

// penalty is how hard the code is to read: long runs and even areas.
func (g *grid) penalty() (sum int) {
	for i := range g.size {
		row, column := 1, 1
		for j := 1; j < g.size; j++ {
			row = run(g.dark[i][j] == g.dark[i][j-1], row, &sum)
			column = run(g.dark[j][i] == g.dark[j-1][i], column, &sum)
			if i > 0 && g.dark[i][j] == g.dark[i-1][j] && g.dark[i][j] == g.dark[i][j-1] && g.dark[i][j] == g.dark[i-1][j-1] {
				sum += 3
			}
		}
	}
	return sum
}

func run(same bool, length int, sum *int) int {
	if !same {
		return 1
	}
	if length++; length == 5 {
		*sum += 3
	} else if length > 5 {
		*sum++
	}
	return length
}
