package compare

import (
	"cmp"
	"slices"
	"strings"

	"repronet.dev/ecosystem"
	"repronet.dev/verify"
	"repronet.dev/verify/closure"
)

// match returns for each output of head which one of base is in its place, -1 for none.
func match(base, head []Subject) []int {
	m := matcher{base: base, head: head, of: make([]int, len(head)), taken: make([]bool, len(base))}
	for i := range m.of {
		m.of[i] = -1
	}
	m.byKey()
	m.byAttribute()
	m.byName()
	return m.of
}

type matcher struct {
	base, head []Subject
	of         []int
	taken      []bool // of base
}

func (m *matcher) pair(base, head int) { m.of[head], m.taken[base] = base, true }

// byKey matches outputs with themselves.
func (m *matcher) byKey() {
	places := make(map[verify.Output]int, len(m.base))
	for i := range m.base {
		places[m.base[i].Output] = i
	}
	for i := range m.head {
		if at, ok := places[m.head[i].Output]; ok {
			m.pair(at, i)
		}
	}
}

// byAttribute matches what has the same attribute. An output of base may stay and be
// replaced in one place as well: an evaluation names one of an output's attributes.
func (m *matcher) byAttribute() {
	type attribute struct {
		ecosystem string
		closure.Place
	}
	places := map[attribute]int{}
	for i := range m.base {
		if s := &m.base[i]; s.Attribute != "" {
			places[attribute{s.Ecosystem, s.Place}] = i
		}
	}
	for i := range m.head {
		s := &m.head[i]
		if at, ok := places[attribute{s.Ecosystem, s.Place}]; ok && m.of[i] < 0 {
			m.pair(at, i)
		}
	}
}

// byName matches what is left by the names without their versions, unless both lists say
// in which attributes they are.
func (m *matcher) byName() {
	type name struct{ ecosystem, place string }
	type sides struct{ base, head []version }
	groups := map[name]*sides{}
	var order []name
	group := func(s *Subject) (*sides, string) {
		place, version := ecosystem.Of(s.Ecosystem).Place(s.Key)
		n := name{s.Ecosystem, place}
		if groups[n] == nil {
			groups[n] = &sides{}
			order = append(order, n)
		}
		return groups[n], version
	}
	for i := range m.base {
		if !m.taken[i] {
			g, text := group(&m.base[i])
			g.base = append(g.base, version{i, text})
		}
	}
	for i := range m.head {
		if m.of[i] < 0 {
			g, text := group(&m.head[i])
			g.head = append(g.head, version{i, text})
		}
	}
	for _, n := range order {
		m.alike(groups[n].base, groups[n].head)
	}
}

// A version is that of the output at a place of a list.
type version struct {
	at   int
	text string
}

func compareVersions(a, b version) int {
	return cmp.Or(strings.Compare(a.text, b.text), cmp.Compare(a.at, b.at))
}

// maxCandidates bounds how many pairs of one name are weighed against each other.
const maxCandidates = 1 << 12

// alike matches outputs of one name: those with the most similar versions first. More than
// can be weighed are matched in the order of their versions.
func (m *matcher) alike(base, head []version) {
	slices.SortFunc(base, compareVersions)
	slices.SortFunc(head, compareVersions)
	if len(base)*len(head) > maxCandidates {
		for i := range min(len(base), len(head)) {
			if m.fit(base[i].at, head[i].at) {
				m.pair(base[i].at, head[i].at)
			}
		}
		return
	}
	type candidate struct{ base, head, alike int }
	var candidates []candidate
	for _, b := range base {
		for _, h := range head {
			if m.fit(b.at, h.at) {
				candidates = append(candidates, candidate{b.at, h.at, likeness(b.text, h.text)})
			}
		}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(b.alike, a.alike) })
	for _, c := range candidates {
		if !m.taken[c.base] && m.of[c.head] < 0 {
			m.pair(c.base, c.head)
		}
	}
}

// fit reports whether names may tell that two outputs are of one package.
func (m *matcher) fit(base, head int) bool {
	b, h := &m.base[base], &m.head[head]
	return (b.Attribute == "" || h.Attribute == "") && (b.System == "" || h.System == "" || b.System == h.System)
}

// likeness of two versions: by how they begin, then by how they end, where the name of an
// output or a platform may follow.
func likeness(a, b string) int {
	const most = 1 << 12 // longer than a name
	begin := 0
	for begin < min(len(a), len(b)) && a[begin] == b[begin] {
		begin++
	}
	end := 0
	for end < min(len(a), len(b))-begin && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	return min(begin, most-1)*most + min(end, most-1)
}
