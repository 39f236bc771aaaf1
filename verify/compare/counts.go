package compare

// Counts are numbers of outputs. Each stands beside the number that it is a part of.
type Counts struct {
	// Base and Head are how many outputs the lists have.
	Base int `json:"base"`
	Head int `json:"head"`
	// Both are of the outputs of HEAD.
	Both Both `json:"both"`
	// Compared are of those that are in both.
	Compared Compared `json:"compared"`
	// New are of the outputs of HEAD.
	New ByState `json:"new"`
	// Removed is of the outputs of BASE.
	Removed int `json:"removed"`
}

// Both counts the outputs of HEAD of which BASE has one in the same place.
type Both struct {
	Outputs int `json:"outputs"`
	// Changed are those that are another output than in BASE.
	Changed int `json:"changed"`
	// NotBuilt have not enough evidence in HEAD, and Uncompared have it in HEAD alone.
	NotBuilt   int `json:"notBuilt"`
	Uncompared int `json:"uncompared"`
	// WaitedFor are those that changed and about which it cannot be said whether they
	// regressed: not built, or diverged and uncompared.
	WaitedFor int `json:"waitedFor"`
}

// Compared counts the outputs with enough evidence in both.
type Compared struct {
	Outputs       int `json:"outputs"`
	Regressed     int `json:"regressed"`
	Fixed         int `json:"fixed"`
	StillDiverged int `json:"stillDiverged"`
	Unchanged     int `json:"unchanged"`
}

// ByState counts outputs by their states.
type ByState struct {
	Outputs    int `json:"outputs"`
	Reproduced int `json:"reproduced"`
	Diverged   int `json:"diverged"`
	NotBuilt   int `json:"notBuilt"`
}

// Decided reports whether all that is new or changed in HEAD has enough evidence to say
// whether it is worse than before.
func (c *Counts) Decided() bool { return c.Both.WaitedFor+c.New.NotBuilt == 0 }

func (c *Counts) add(change *Change, head *Subject) {
	switch change.Class {
	case New:
		c.New.add(head.State)
		return
	case Removed:
		c.Removed++
		return
	case NotBuilt:
		c.Both.NotBuilt++
	case Uncompared:
		c.Both.Uncompared++
	default:
		c.Compared.add(change.Class)
	}
	c.Both.Outputs++
	if !change.Same {
		c.Both.Changed++
		if change.Class == NotBuilt || change.Class == Uncompared && head.State == Diverged {
			c.Both.WaitedFor++
		}
	}
}

func (c *Compared) add(class Class) {
	c.Outputs++
	switch class {
	case Regressed:
		c.Regressed++
	case Fixed:
		c.Fixed++
	case StillDiverged:
		c.StillDiverged++
	default:
		c.Unchanged++
	}
}

func (s *ByState) add(state State) {
	s.Outputs++
	switch state {
	case Reproduced:
		s.Reproduced++
	case Diverged:
		s.Diverged++
	default:
		s.NotBuilt++
	}
}
