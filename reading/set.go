package reading

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"repronet.dev/pkgset"
)

// A Set publishes a revision of a package set. Its members are an attachment, see
// [Set.Members].
type Set struct{ *pkgset.Entry }

// Members are what a published set lists, in the order of their keys.
type Members struct {
	Counted []pkgset.Member // outputs of the set
	Fixed   []pkgset.Member // whose recipes fix their hash: in no rate
}

// All returns counted and fixed members, in the order of their keys.
func (m *Members) All() []pkgset.Member {
	all := slices.Concat(m.Counted, m.Fixed)
	slices.SortFunc(all, func(a, b pkgset.Member) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// Members reads the attachment. An error is a [Refused] where the attachment is not
// what the entry says, and then the set moves nothing, for any reader; any other says
// that it cannot be had now.
func (s *Set) Members(ctx context.Context, attachments Attachments) (*Members, error) {
	attachment, err := attachments(ctx, s.SHA256)
	if err != nil {
		return nil, unavailable("package set "+s.Name, err)
	}
	all, err := pkgset.Decode(s.Ecosystem, attachment)
	if err != nil {
		return nil, &Refused{err}
	}
	m := &Members{Counted: all[:0]}
	for i := range all {
		if all[i].Fixed {
			m.Fixed = append(m.Fixed, all[i])
		} else {
			m.Counted = append(m.Counted, all[i])
		}
	}
	if n := len(m.Counted); n != s.Entry.Members {
		return nil, &Refused{fmt.Errorf("the entry says %d members, the attachment has %d", s.Entry.Members, n)}
	}
	return m, nil
}
