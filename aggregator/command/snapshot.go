package command

import (
	"repronet.dev/aggregator/admin"
	"repronet.dev/api"
	"repronet.dev/internal/cli"
)

func makeSnapshot() cli.Command {
	return cli.Command{
		Name: "snapshot", Synopsis: "[OPTIONS]", Summary: "write all data as Parquet files for researchers",
		About: `  Makes a snapshot of what the ledger has published: the observations, verdicts,
  changes, builders, package sets and the rest as Parquet files, with their schemas,
  how to cite them, and the signature of the ledger's key. It is in the directory
  snapshots of the data directory, and at /data/snapshots of the server. A server
  makes one every night (settings snapshots.schedule and snapshots.keep); this makes
  one now. While it is made nothing else waits, and nothing half-made can be seen.

  Anybody who has the ledger makes the same files with 'repronet-verify snapshot', and
  proves these with 'repronet-verify replay --snapshot'.

EXIT STATUS
  0   made, or there was one of the same ledger already
  1   it failed, or one is being made; standard error says why
  64  the command was called wrongly

EXAMPLES
  repronet-aggregator snapshot`,
		Prepare: administrative[admin.None, api.Snapshot]{
			call: admin.MakeSnapshot, ask: nothing,
			show: func(env *cli.Env, out *output, s api.Snapshot) error {
				return out.say(env, s, "snapshot of the first %d ledger entries: %d bytes at %s", s.Size, s.Bytes, s.Path)
			},
		}.prepare,
	}
}
