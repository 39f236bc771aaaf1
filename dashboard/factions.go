package dashboard

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"repronet.dev/divergence"
)

// A mark stands for one digest of an output on a page: the same digest has the
// same symbol, colour and letter everywhere on it.
type mark struct {
	Class  string // of the colour
	Symbol string
	Letter string
	Digest string
	Short  string // the digest's beginning
}

// markSymbols are the symbols of the first digests; further ones share the last.
var markSymbols = [...]string{"●", "▲", "■", "◆", "★", "○"}

func newMark(i int, digest string) mark {
	class := min(i, len(markSymbols)-1)
	letter := string(rune('A' + i%26))
	if i >= 26 {
		letter += strconv.Itoa(i / 26)
	}
	hex := strings.TrimPrefix(digest, "sha256:")
	return mark{
		Class: "mark-" + strconv.Itoa(class), Symbol: markSymbols[class], Letter: letter,
		Digest: digest, Short: hex[:min(12, len(hex))],
	}
}

// A faction is everybody who claims one digest of an output.
type faction struct {
	Mark     mark
	Counted  []string      // operators whose position holds the digest
	Builders []builderName // theirs
	Others   []builderName // whose claim does not count
}

// Named are the first builders that count, as many as fit a page.
func (f faction) Named() []builderName { return f.Builders[:min(len(f.Builders), groupBuilders)] }

// More counts the builders that Named leaves out.
func (f faction) More() int { return len(f.Builders) - len(f.Named()) }

// NamedOthers are the first builders that do not count.
func (f faction) NamedOthers() []builderName { return f.Others[:min(len(f.Others), groupBuilders)] }

// MoreOthers counts the builders that NamedOthers leaves out.
func (f faction) MoreOthers() int { return len(f.Others) - len(f.NamedOthers()) }

// factionsOf groups the claims on an output by digest: most counted operators
// first, then by digest, which is the order of the lists (divergence.Factions over claims
// that are sorted by digest): a digest has one letter everywhere.
func factionsOf(claims []Claim) []faction {
	groups := divergence.ByDigest(func(yield func(string, *Claim) bool) {
		for i := range claims {
			if !yield(claims[i].Digest, &claims[i]) {
				return
			}
		}
	})
	factions := make([]faction, len(groups))
	for i, g := range groups {
		factions[i].Mark.Digest = g.Digest
		for _, claim := range g.Claims {
			factions[i].add(claim)
		}
	}
	slices.SortFunc(factions, func(a, b faction) int {
		return cmp.Or(cmp.Compare(len(b.Counted), len(a.Counted)), strings.Compare(a.Mark.Digest, b.Mark.Digest))
	})
	for i := range factions {
		f := &factions[i]
		f.Mark = newMark(i, f.Mark.Digest)
		// Who counts here agrees with nobody by having said it in another way as well.
		f.Others = slices.DeleteFunc(f.Others, func(b builderName) bool { return slices.Contains(f.Counted, b.Operator) })
	}
	return factions
}

func (f *faction) add(claim *Claim) {
	if claim.Counts && !slices.Contains(f.Counted, claim.Operator) {
		f.Counted = append(f.Counted, claim.Operator)
	}
	builders := &f.Others
	if claim.Counts {
		builders = &f.Builders
	}
	if !slices.ContainsFunc(*builders, func(b builderName) bool { return b.ID == claim.Builder }) {
		*builders = append(*builders, newBuilderName(claim.Operator, claim.Builder))
	}
}

// A trait is a property of the builders' environments, with its values by
// faction.
type trait struct {
	Name   string
	Values []traitValues
}

type traitValues struct {
	Mark   mark
	Values []string
}

// recorded reports whether every faction that counts recorded something of its
// environments: only then can a trait separate them, or none.
func recorded(claims []Claim, factions []faction) bool {
	for _, f := range factions {
		if len(f.Counted) > 0 && !slices.ContainsFunc(claims, func(c Claim) bool {
			return c.Counts && c.Digest == f.Mark.Digest && len(c.Environment) > 0
		}) {
			return false
		}
	}
	return true
}

// separating lists the traits of which every faction that counts recorded
// values, and no two factions the same one. Such a trait may be the cause; with
// few builders it may as well be chance.
func separating(claims []Claim, factions []faction) []trait {
	counted := slices.DeleteFunc(slices.Clone(factions), func(f faction) bool { return len(f.Counted) == 0 })
	if len(counted) < 2 {
		return nil
	}
	values := map[string]map[string][]string{} // trait → digest → values
	for _, claim := range claims {
		if !claim.Counts {
			continue
		}
		for name, value := range claim.Environment {
			if values[name] == nil {
				values[name] = map[string][]string{}
			}
			if !slices.Contains(values[name][claim.Digest], value) {
				values[name][claim.Digest] = append(values[name][claim.Digest], value)
			}
		}
	}
	var traits []trait
	for name, byDigest := range values {
		t := trait{Name: name}
		seen := map[string]bool{}
		separates := true
		for _, f := range counted {
			list := byDigest[f.Mark.Digest]
			slices.Sort(list)
			separates = separates && len(list) > 0
			for _, value := range list {
				separates = separates && !seen[value]
				seen[value] = true
			}
			t.Values = append(t.Values, traitValues{f.Mark, list})
		}
		if separates {
			traits = append(traits, t)
		}
	}
	slices.SortFunc(traits, func(a, b trait) int { return cmp.Compare(a.Name, b.Name) })
	return traits
}
