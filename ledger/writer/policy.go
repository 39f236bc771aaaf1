package writer

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	"github.com/transparency-dev/tessera"
)

// A WitnessPolicy is what [Config.Witnesses] says, read.
type WitnessPolicy struct {
	Witnesses []Witness // in the order of the file
	group     tessera.WitnessGroup
}

// A Witness is asked to cosign checkpoints.
type Witness struct {
	Name string // within the policy
	Key  string // vkey, as C2SP signed-note writes it
	URL  string
}

// ParseWitnesses reads a policy in the form of Sigsum, see [Config.Witnesses].
func ParseWitnesses(policy []byte) (*WitnessPolicy, error) {
	group, err := tessera.NewWitnessGroupFromPolicy(policy)
	if err != nil {
		return nil, fmt.Errorf("reading witnesses: %w", err)
	}
	p := &WitnessPolicy{group: group}
	for lines := bufio.NewScanner(bytes.NewReader(policy)); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if fields := strings.Fields(line); len(fields) == 4 && fields[0] == "witness" {
			p.Witnesses = append(p.Witnesses, Witness{Name: fields[1], Key: fields[2], URL: fields[3]})
		}
	}
	return p, nil
}

// Satisfied reports whether a checkpoint has the cosignatures of the policy's quorum.
func (p *WitnessPolicy) Satisfied(checkpoint []byte) bool { return p.group.Satisfied(checkpoint) }
