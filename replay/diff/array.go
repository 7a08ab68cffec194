package diff

import (
	"fmt"

	"respect/replay/document"
)

// maxCells bounds the table in which the longest common subsequence of two arrays is found.
const maxCells = 4 << 20

// arrays compares two arrays: what of one is in the other in the same order stays; between, elements that belong together are compared, and the rest goes, comes, or
// stands elsewhere.
func (d *differ) arrays(p place, before, after []byte) {
	x, err1 := document.Elements(before)
	y, err2 := document.Elements(after)
	if err1 != nil || err2 != nil || !numbered(x) || !numbered(y) {
		d.documents(p, before, after) // names that are no numbers are fields like others
		return
	}
	a, b := values(x), values(y)
	al := align(a, b)
	goes, comes := map[int]bool{}, map[int]bool{}
	for _, i := range al.gone {
		goes[i] = true
	}
	to := map[int]int{} // of what moved
	for _, j := range al.come {
		comes[j] = true
		for _, i := range al.gone {
			if goes[i] && a[i].Is(b[j]) {
				to[i], goes[i], comes[j] = j, false, false
				break
			}
		}
	}
	n := 0 // of the pairs
	for i := range a {
		switch j, moved := to[i]; {
		case n < len(al.pairs) && al.pairs[n][0] == i:
			d.values(p.element(i, al.pairs[n][1]), a[i], b[al.pairs[n][1]])
			n++
		case moved:
			c := p.element(i, j).change(Moved, a[i], b[j])
			c.To, c.field = p.element(i, j).now, false
			d.out = append(d.out, c)
		case goes[i]:
			c := p.element(i, i).change(Gone, a[i], document.Value{})
			c.To, c.field = "", false
			d.out = append(d.out, c)
		}
	}
	for j := range b {
		if comes[j] {
			c := p.element(j, j).change(New, document.Value{}, b[j])
			c.Path, c.To, c.field = p.element(j, j).now, "", false
			d.out = append(d.out, c)
		}
	}
}

// numbered says whether the names of an array's elements are their numbers, as they should be.
func numbered(list []document.Element) bool {
	for i, e := range list {
		if e.Name != fmt.Sprint(i) {
			return false
		}
	}
	return true
}

func values(list []document.Element) []document.Value {
	out := make([]document.Value, len(list))
	for i, e := range list {
		out[i] = e.Value
	}
	return out
}

// alignment is which elements of two lists belong together without being the same, which go and which come. Those that are the same are in none of them.
type alignment struct {
	pairs      [][2]int // in order
	gone, come []int
}

func align(a, b []document.Value) (al alignment) {
	// What is the same is a number.
	number := map[string]int{}
	numbers := func(list []document.Value) []int {
		out := make([]int, len(list))
		for i, v := range list {
			k := string(v.Kind) + string(v.Data)
			n, has := number[k]
			if !has {
				n = len(number)
				number[k] = n
			}
			out[i] = n
		}
		return out
	}
	x, y := numbers(a), numbers(b)
	i, j := 0, 0
	for _, m := range append(matches(x, y), [2]int{len(a), len(b)}) {
		al.gap(a, b, i, m[0], j, m[1])
		i, j = m[0]+1, m[1]+1
	}
	return al
}

// matches are pairs of places that have the same, in order: as many as there can be, or, in very long lists, those that occur once in each.
func matches(x, y []int) (out [][2]int) {
	start := 0
	for start < len(x) && start < len(y) && x[start] == y[start] {
		out = append(out, [2]int{start, start})
		start++
	}
	n, m := len(x), len(y)
	for n > start && m > start && x[n-1] == y[m-1] {
		n, m = n-1, m-1
	}
	rest := x[n:]
	if (n-start)*(m-start) <= maxCells {
		out = append(out, longest(x[start:n], y[start:m], start)...)
	} else {
		out = append(out, once(x[start:n], y[start:m], start)...)
	}
	for k := range rest {
		out = append(out, [2]int{n + k, m + k})
	}
	return out
}

// longest is the longest common subsequence.
func longest(x, y []int, offset int) (out [][2]int) {
	w := len(y) + 1
	table := make([]int32, (len(x)+1)*w)
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				table[i*w+j] = table[(i+1)*w+j+1] + 1
			} else {
				table[i*w+j] = max(table[(i+1)*w+j], table[i*w+j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(x) && j < len(y); {
		switch {
		case x[i] == y[j]:
			out = append(out, [2]int{offset + i, offset + j})
			i, j = i+1, j+1
		case table[(i+1)*w+j] >= table[i*w+j+1]:
			i++
		default:
			j++
		}
	}
	return out
}

// once is an increasing run of what occurs once in each list.
func once(x, y []int, offset int) (out [][2]int) {
	count := func(list []int) (n, at map[int]int) {
		n, at = map[int]int{}, map[int]int{}
		for i, v := range list {
			n[v]++
			at[v] = i
		}
		return n, at
	}
	nx, _ := count(x)
	ny, at := count(y)
	var from, to []int // candidates, by their place in x
	for i, v := range x {
		if nx[v] == 1 && ny[v] == 1 {
			from, to = append(from, i), append(to, at[v])
		}
	}
	for _, k := range increasing(to) {
		out = append(out, [2]int{offset + from[k], offset + to[k]})
	}
	return out
}

// increasing are the places of a longest increasing subsequence.
func increasing(list []int) []int {
	var tails []int // place of the smallest end of a run of each length
	before := make([]int, len(list))
	for i, v := range list {
		lo, hi := 0, len(tails)
		for lo < hi {
			if mid := (lo + hi) / 2; list[tails[mid]] < v {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		before[i] = -1
		if lo > 0 {
			before[i] = tails[lo-1]
		}
		if lo == len(tails) {
			tails = append(tails, i)
		} else {
			tails[lo] = i
		}
	}
	out := make([]int, len(tails))
	if len(tails) == 0 {
		return out
	}
	for n, i := len(tails)-1, tails[len(tails)-1]; n >= 0; n-- {
		out[n], i = i, before[i]
	}
	return out
}

// gap takes the elements between two matches. As many as before, that could have become each other, are compared one by one; otherwise those that are alike.
func (al *alignment) gap(a, b []document.Value, i0, i1, j0, j1 int) {
	alike := i1-i0 == j1-j0
	for k := 0; alike && k < i1-i0; k++ {
		alike = related(a[i0+k], b[j0+k])
	}
	if alike {
		for k := range i1 - i0 {
			al.pairs = append(al.pairs, [2]int{i0 + k, j0 + k})
		}
		return
	}
	i, j := i0, j0
	for _, m := range append(similar(a[i0:i1], b[j0:j1], i0, j0), [2]int{i1, j1}) {
		for ; i < m[0]; i++ {
			al.gone = append(al.gone, i)
		}
		for ; j < m[1]; j++ {
			al.come = append(al.come, j)
		}
		if i < i1 && j < j1 {
			al.pairs = append(al.pairs, m)
			i, j = i+1, j+1
		}
	}
}

// related says whether one value may have become the other where both stand at the same place.
func related(a, b document.Value) bool {
	if a.Kind == document.Document && b.Kind == document.Document {
		return likeness(a, b) > 0
	}
	return a.Nested() == b.Nested()
}

// likeness of two documents is 0 if they share nothing, and at most 4.
func likeness(a, b document.Value) float64 {
	if a.Kind != document.Document || b.Kind != document.Document {
		return 0
	}
	x, err1 := document.Elements(a.Data)
	y, err2 := document.Elements(b.Data)
	if err1 != nil || err2 != nil || len(x) == 0 || len(y) == 0 {
		return 0
	}
	have := map[string]document.Value{}
	for _, e := range y {
		have[e.Name] = e.Value
	}
	same, named, id := 0, 0, 0.0
	for _, e := range x {
		v, there := have[e.Name]
		if !there {
			continue
		}
		named++
		if v.Is(e.Value) {
			same++
		}
		if e.Name == "_id" || e.Name == "id" {
			if !v.Is(e.Value) {
				return 0 // another thing
			}
			id = 2
		}
	}
	most := float64(max(len(x), len(y)))
	return id + float64(same)/most + float64(named)/most/2
}

// similar pairs documents that are alike, in order, so that they are as alike as they can be altogether.
func similar(a, b []document.Value, i0, j0 int) (out [][2]int) {
	const most, least = 40_000, 0.7 // cells; likeness: about a fifth of the fields is the same, and the names are
	if len(a)*len(b) > most || len(a) == 0 || len(b) == 0 {
		return nil
	}
	w := len(b) + 1
	alike, table := make([]float64, (len(a)+1)*w), make([]float64, (len(a)+1)*w)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			l := likeness(a[i], b[j])
			if l < least {
				l = 0
			}
			alike[i*w+j] = l
			table[i*w+j] = max(table[(i+1)*w+j], table[i*w+j+1])
			if l > 0 {
				table[i*w+j] = max(table[i*w+j], table[(i+1)*w+j+1]+l)
			}
		}
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case alike[i*w+j] > 0 && table[i*w+j] == table[(i+1)*w+j+1]+alike[i*w+j]:
			out = append(out, [2]int{i0 + i, j0 + j})
			i, j = i+1, j+1
		case table[(i+1)*w+j] >= table[i*w+j+1]:
			i++
		default:
			j++
		}
	}
	return out
}
