package aggregator

import "fmt"

// answers says why the index answers nothing; nil if it does.
func (k *indexKeeper) answers() error {
	if trouble := k.trouble.Load(); trouble != nil {
		return fmt.Errorf("%s", *trouble)
	}
	if target := k.target.Load(); target > 0 {
		indexed := k.indexed.Load()
		return fmt.Errorf("the index is made anew: %d of %d ledger entries (%d %%)", indexed, target, indexed*100/target)
	}
	return nil
}
