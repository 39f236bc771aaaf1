package dashboard

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
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
// first, then whoever came first.
func factionsOf(claims []Claim) []faction {
	var factions []faction
	at := map[string]int{}
	for _, claim := range claims {
		i, known := at[claim.Digest]
		if !known {
			i = len(factions)
			at[claim.Digest] = i
			factions = append(factions, faction{Mark: mark{Digest: claim.Digest}})
		}
		f := &factions[i]
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
	slices.SortStableFunc(factions, func(a, b faction) int { return cmp.Compare(len(b.Counted), len(a.Counted)) })
	for i := range factions {
		factions[i].Mark = newMark(i, factions[i].Mark.Digest)
	}
	return factions
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
