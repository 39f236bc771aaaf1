package dashboard

import "repronet.dev/api"

// The documents that a [Source] answers with; package api says what they mean.
type (
	Summary         = api.Summary
	DayCounts       = api.DayCounts
	Set             = api.Set
	SetRevision     = api.SetRevision
	SetDifference   = api.SetDifference
	SetChange       = api.SetChange
	Excuses         = api.Excuses
	Excuse          = api.Excuse
	PackageQuery    = api.PackageQuery
	PackagePage     = api.PackagePage
	VersionsQuery   = api.VersionsQuery
	Package         = api.Package
	MaintainerQuery = api.MaintainerQuery
	MaintainerPage  = api.MaintainerPage
	Maintainer      = api.Maintainer
	OutputRow       = api.OutputRow
	Output          = api.Output
	SetPlan         = api.SetPlan
	Claim           = api.Claim
	Change          = api.Change
	Build           = api.Build
	Failure         = api.Failure
	DivergenceQuery = api.DivergenceQuery
	DivergencePage  = api.DivergencePage
	Divergence      = api.Divergence
	Faction         = api.Faction
	ChangeQuery     = api.ChangeQuery
	VerdictChange   = api.VerdictChange
	Builder         = api.Builder
	Copying         = api.Copying
	BuilderDetail   = api.BuilderDetail
	Certificate     = api.Certificate
	Identity        = api.Identity
	Stream          = api.Stream
	Comparison      = api.Comparison
	Agreement       = api.Agreement
)
