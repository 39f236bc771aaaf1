package e2e

import (
	"encoding/json"
	"fmt"
)

// makeSnapshot has the aggregator make a snapshot, and gives alice another machine.
func (d *documents) makeSnapshot() {
	d.t.Helper()
	var made struct{ Size uint64 }
	if err := json.Unmarshal([]byte(d.command("snapshot", "--json")), &made); err != nil {
		d.t.Fatal(err)
	}
	d.names["SIZE"] = fmt.Sprint(made.Size)
	d.freshHome()
}
