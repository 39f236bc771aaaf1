package dashboard

import (
	"cmp"
	"slices"

	"repronet.dev/api"
)

// A strip shows versions × systems: each cell is the worst verdict on the outputs of that
// version for that system, with how many there are of how many.
type strip struct {
	Systems []string
	Rows    []stripRow
}

type stripRow struct {
	Version string
	Cells   []stripCell
	Numbers []stripNumbers // for the table beside it
}

type stripCell struct {
	System  string
	Verdict api.Verdict // "" of a cell without outputs
	Part    string      // "1 of 3": how many have the verdict
}

type stripNumbers struct {
	System                                 string
	Reproduced, Diverged, Single, NotBuilt string
}

// stripSystems is how many columns a strip has at most: what has fewer outputs is put together
// in the last.
const stripSystems = 8

// What the columns are called that are of no single system.
const (
	systemUnknown = "any, or not said"
	systemOthers  = "others"
)

// newStrip returns the strip of a page of versions; nil if there are none.
func newStrip(versions []api.PackageVersion) *strip {
	if len(versions) == 0 {
		return nil
	}
	column := columnsOf(versions)
	s := &strip{}
	for _, name := range column {
		if !slices.Contains(s.Systems, name) {
			s.Systems = append(s.Systems, name)
		}
	}
	slices.SortFunc(s.Systems, func(a, b string) int {
		last := func(name string) int { return slices.Index([]string{systemUnknown, systemOthers}, name) }
		return cmp.Or(cmp.Compare(last(a), last(b)), cmp.Compare(a, b))
	})
	for _, v := range versions {
		counts := make([]api.VerdictCounts, len(s.Systems))
		for _, of := range v.Systems {
			counts[slices.Index(s.Systems, column[of.System])].Add(of.VerdictCounts)
		}
		row := stripRow{Version: v.Version}
		for i, c := range counts {
			row.Cells = append(row.Cells, newStripCell(s.Systems[i], c))
			if c.All() > 0 {
				row.Numbers = append(row.Numbers, stripNumbers{s.Systems[i], number(c.Reproduced), number(c.Diverged), number(c.Single), number(c.Unbuilt)})
			}
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

// columnsOf says in which column each system is.
func columnsOf(versions []api.PackageVersion) map[string]string {
	outputs := map[string]uint64{}
	for _, v := range versions {
		for _, of := range v.Systems {
			outputs[of.System] += of.All()
		}
	}
	var systems []string
	for system := range outputs {
		systems = append(systems, system)
	}
	slices.SortFunc(systems, func(a, b string) int { return cmp.Or(cmp.Compare(outputs[b], outputs[a]), cmp.Compare(a, b)) })
	column := make(map[string]string, len(systems))
	for i, system := range systems {
		switch {
		case i >= stripSystems-1 && len(systems) > stripSystems:
			column[system] = systemOthers
		case system == "":
			column[system] = systemUnknown
		default:
			column[system] = system
		}
	}
	return column
}

func newStripCell(system string, c api.VerdictCounts) stripCell {
	if c.All() == 0 {
		return stripCell{System: system}
	}
	worst := c.Worst()
	n := map[api.Verdict]uint64{api.Reproduced: c.Reproduced, api.Diverged: c.Diverged, api.Single: c.Single, api.Unbuilt: c.Unbuilt}[worst]
	return stripCell{system, worst, number(n) + " of " + number(c.All())}
}
