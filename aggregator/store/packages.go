package store

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet.dev/ecosystem"
)

// A Package is a package by its name without a version, in one ecosystem.
type Package struct{ Ecosystem, Name string }

// A PackageOutput says of which package an output is.
type PackageOutput struct {
	Package
	Output  uint32
	Written uint64 // the greatest holds
	Version string
	System  string // "" where the output's name does not say
}

func packageOutputColumns() []column[PackageOutput] {
	return []column[PackageOutput]{
		col("package", "String", func(r *PackageOutput) string { return r.Name }),
		col("ecosystem", "LowCardinality(String)", func(r *PackageOutput) string { return r.Ecosystem }),
		col("output", "UInt32", func(r *PackageOutput) uint32 { return r.Output }),
		col("written", "UInt64", func(r *PackageOutput) uint64 { return r.Written }),
		col("package_version", "String", func(r *PackageOutput) string { return r.Version }),
		col("system", "LowCardinality(String)", func(r *PackageOutput) string { return r.System }),
	}
}

func packageColumns() []column[Package] {
	return []column[Package]{
		col("package", "String", func(r *Package) string { return r.Name }),
		col("ecosystem", "LowCardinality(String)", func(r *Package) string { return r.Ecosystem }),
	}
}

// packagesOf tells the packages of outputs from their names.
func packagesOf(outputs []OutputName) (of []PackageOutput, names []Package) {
	of = make([]PackageOutput, len(outputs))
	seen := map[Package]struct{}{}
	for i, o := range outputs {
		p := ecosystem.Of(o.Ecosystem).Package(o.Build, o.Key)
		of[i] = PackageOutput{Package{o.Ecosystem, p.Name}, o.Output, o.Version, p.Version, p.System}
		if _, again := seen[of[i].Package]; !again {
			seen[of[i].Package] = struct{}{}
			names = append(names, of[i].Package)
		}
	}
	return of, names
}

// UnfilledPackages reports whether the packages of outputs have still to be told by
// [Tables.FillPackages].
func (t *Tables) UnfilledPackages(ctx context.Context) (bool, error) {
	return t.there(ctx, "packages_unfilled")
}

// FillPackages tells the packages of all outputs. It writes part of them at a time; if it is
// interrupted, it has to begin again, which changes nothing of what is written.
func (t *Tables) FillPackages(ctx context.Context) error {
	const atOnce = 65_536
	part := make([]OutputName, 0, atOnce)
	write := func() error {
		of, names := packagesOf(part)
		part = part[:0]
		if err := insert(ctx, t.conn, "package_outputs", packageOutputColumns(), of); err != nil {
			return err
		}
		return insert(ctx, t.conn, "packages", packageColumns(), names)
	}
	for name, err := range t.allNames(ctx) {
		if err == nil {
			if part = append(part, name); len(part) == atOnce {
				err = write()
			}
		}
		if err != nil {
			return fmt.Errorf("filling in packages: %w", err)
		}
	}
	if err := write(); err != nil {
		return fmt.Errorf("filling in packages: %w", err)
	}
	if err := t.conn.Exec(ctx, `DROP TABLE packages_unfilled SYNC`); err != nil {
		return fmt.Errorf("filling in packages: %w", err)
	}
	return nil
}

// allNames yields all names of outputs, those of older versions too.
func (t *Tables) allNames(ctx context.Context) iter.Seq2[OutputName, error] {
	return scan(ctx, t.conn, readName, `SELECT output, version, ecosystem, key, build, name FROM outputs`)
}

// A PackageCount is a package, with how many outputs anybody ever named of it, of how many
// versions, and how many of them diverge.
type PackageCount struct {
	Package
	Outputs, Versions, Diverged uint64
}

// Packages lists at most limit packages behind one, by name and ecosystem, of those whose
// names contain text without regard to the case of ASCII letters; from the first on if behind
// is the zero value.
func (t *Tables) Packages(ctx context.Context, text string, behind Package, limit int) ([]PackageCount, error) {
	found, err := list(ctx, t.conn, func(rows driver.Rows) (p Package, err error) {
		return p, rows.Scan(&p.Name, &p.Ecosystem)
	}, `SELECT DISTINCT package, ecosystem FROM packages
		WHERE (package, ecosystem) > ({package:String}, {ecosystem:String}) AND package >= {package:String} AND lower(package) LIKE lower({pattern:String})
		ORDER BY package, ecosystem LIMIT {limit:UInt32}`,
		clickhouse.Named("package", behind.Name), clickhouse.Named("ecosystem", behind.Ecosystem),
		clickhouse.Named("pattern", containing(text)), clickhouse.Named("limit", limit))
	if err != nil {
		return nil, fmt.Errorf("reading packages: %w", err)
	}
	counts := make([]PackageCount, len(found))
	names := make([]string, len(found))
	for i, p := range found {
		counts[i].Package, names[i] = p, p.Name
	}
	return counts, t.countPackages(ctx, counts, names)
}

// countPackages completes packages, which have the given names.
func (t *Tables) countPackages(ctx context.Context, counts []PackageCount, names []string) error {
	if len(counts) == 0 {
		return nil
	}
	for c, err := range scan(ctx, t.conn, func(rows driver.Rows) (c PackageCount, err error) {
		return c, rows.Scan(&c.Name, &c.Ecosystem, &c.Outputs, &c.Versions, &c.Diverged)
	}, `SELECT package, ecosystem, count(), uniqExact(package_version),
			countIf(output IN (SELECT output FROM divergences FINAL WHERE diverged = 1))
		FROM (SELECT package, ecosystem, output, argMax(package_version, written) AS package_version FROM package_outputs
			WHERE package IN {packages:Array(String)} GROUP BY package, ecosystem, output)
		GROUP BY package, ecosystem`, clickhouse.Named("packages", names)) {
		if err != nil {
			return fmt.Errorf("counting outputs of packages: %w", err)
		}
		if i := slices.IndexFunc(counts, func(p PackageCount) bool { return p.Package == c.Package }); i >= 0 {
			counts[i] = c
		}
	}
	return nil
}

// EcosystemsOf returns the ecosystems that have a package of a name, in order.
func (t *Tables) EcosystemsOf(ctx context.Context, name string) ([]string, error) {
	found, err := list(ctx, t.conn, func(rows driver.Rows) (ecosystem string, err error) {
		return ecosystem, rows.Scan(&ecosystem)
	}, `SELECT DISTINCT ecosystem FROM packages WHERE package = {package:String} ORDER BY ecosystem`, clickhouse.Named("package", name))
	if err != nil {
		return nil, fmt.Errorf("reading packages: %w", err)
	}
	return found, nil
}

// MaxPackageOutputs is how many outputs of a package are counted: those named last.
const MaxPackageOutputs = 100_000

const (
	// ofPackage is the outputs of a package, and ofVersion those of one of its versions.
	ofPackage = `SELECT output FROM package_outputs WHERE package = {package:String} AND ecosystem = {ecosystem:String}`
	ofVersion = ofPackage + ` GROUP BY output HAVING argMax(package_version, written) = {version:String}`
)

// judgedOf is those outputs of a package that have a verdict before an index, and those that
// a package set's newest revision has: the others are what builders said who do not count, and
// anybody may be one. Of more than {most}, those that were named last.
func judgedOf(outputs string) string {
	return `(SELECT output, max(judged) AS verdict FROM (
			SELECT output, argMax(new, log_index) AS judged FROM verdict_changes
			WHERE output IN (` + outputs + `) AND log_index < {before:UInt64} GROUP BY output HAVING judged > 0
			UNION ALL
			SELECT output, toUInt8(0) AS judged FROM set_members FINAL
			WHERE ` + newestMembers + ` AND output IN (` + outputs + `))
		GROUP BY output ORDER BY output DESC LIMIT {most:UInt32})`
}

func (p Package) named(before uint64, more ...any) []any {
	return append(more, clickhouse.Named("package", p.Name), clickhouse.Named("ecosystem", p.Ecosystem),
		clickhouse.Named("before", before), clickhouse.Named("newest", uint64(Newest)))
}

// A PackageCell counts the outputs of one version of a package for one system.
type PackageCell struct {
	Version, System string
	Counts          Counts
}

// PackageCells counts the outputs of a package that have a verdict before a ledger index or
// are in a package set, by version and system: at most limit cells, those whose outputs were
// named last first. Where the name of an output does not say for which system it is, a package
// set may.
func (t *Tables) PackageCells(ctx context.Context, p Package, before uint64, limit int) ([]PackageCell, error) {
	cells, err := list(ctx, t.conn, func(rows driver.Rows) (c PackageCell, err error) {
		return c, rows.Scan(&c.Version, &c.System, &c.Counts[0], &c.Counts[1], &c.Counts[2], &c.Counts[3])
	}, `SELECT p.version AS version, if(p.system = '', m.system, p.system) AS system,
			countIf(j.verdict = 0), countIf(j.verdict = 1), countIf(j.verdict = 2), countIf(j.verdict = 3)
		FROM (SELECT output, argMax(package_version, written) AS version, argMax(system, written) AS system FROM package_outputs
			WHERE package = {package:String} AND ecosystem = {ecosystem:String} GROUP BY output) AS p
		INNER JOIN `+judgedOf(ofPackage)+` AS j ON p.output = j.output
		LEFT JOIN (SELECT output, max(system) AS system FROM set_members
			WHERE set IN (SELECT name FROM sets) AND output IN (`+ofPackage+`) GROUP BY output) AS m ON p.output = m.output
		GROUP BY version, system ORDER BY max(p.output) DESC LIMIT {limit:UInt32}`,
		p.named(before, clickhouse.Named("most", MaxPackageOutputs), clickhouse.Named("limit", limit))...)
	if err != nil {
		return nil, fmt.Errorf("counting outputs of package %.100q: %w", p.Name, err)
	}
	return cells, nil
}

// OutputsOfVersion returns those outputs of a package's version that PackageCells counts, at
// most limit, those that were named last.
func (t *Tables) OutputsOfVersion(ctx context.Context, p Package, version string, before uint64, limit int) ([]uint32, error) {
	outputs, err := list(ctx, t.conn, readNumber, `SELECT output FROM `+judgedOf(ofVersion)+` ORDER BY output DESC`,
		p.named(before, clickhouse.Named("version", version), clickhouse.Named("most", limit))...)
	if err != nil {
		return nil, fmt.Errorf("reading outputs of package %.100q: %w", p.Name, err)
	}
	return outputs, nil
}

// A PackagePlan is what a package set's newest revision says of outputs of a package.
type PackagePlan struct {
	Set, Attribute, Version, System string
	Maintainers                     []string
	Outputs                         uint64 // of which it says so
}

// PackagePlans returns what the newest revisions of package sets say of a package's outputs,
// at most limit rows, by set, attribute and system.
func (t *Tables) PackagePlans(ctx context.Context, p Package, limit int) ([]PackagePlan, error) {
	plans, err := list(ctx, t.conn, func(rows driver.Rows) (m PackagePlan, err error) {
		return m, rows.Scan(&m.Set, &m.Attribute, &m.Version, &m.System, &m.Maintainers, &m.Outputs)
	}, `SELECT set, attribute, package_version, system, maintainers, count() FROM set_members FINAL
		WHERE `+newestMembers+` AND output IN (`+ofPackage+`)
		GROUP BY set, attribute, package_version, system, maintainers ORDER BY set, attribute, system, package_version LIMIT {limit:UInt32}`,
		p.named(0, clickhouse.Named("limit", limit))...)
	if err != nil {
		return nil, fmt.Errorf("reading what package sets say of package %.100q: %w", p.Name, err)
	}
	return plans, nil
}

// containing is a pattern of LIKE for what contains a text.
func containing(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
}
