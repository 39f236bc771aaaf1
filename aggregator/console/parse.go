package console

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	clickhouse "github.com/AfterShip/clickhouse-sql-parser/parser"
)

// A Query is one SELECT over views, as the engine is going to read it. The zero Query is
// none: [Parse] makes them.
type Query struct {
	text  string
	views []string
}

// Text is the query in its canonical form: without comments, with one spelling of quotes.
func (q Query) Text() string { return q.text }

// Views are the names of the views that the query reads, sorted.
func (q Query) Views() []string { return slices.Clone(q.views) }

// Parse reads a query: one SELECT, with common table expressions, joins, unions and
// subqueries, over the given views and nothing else. What it refuses is a [*SyntaxError].
func Parse(text string, views []string) (Query, error) {
	l, err := lex(text)
	if err != nil {
		return Query{}, err
	}
	if n := len(l.tokens); n > 0 && l.tokens[n-1].is(";") {
		l.tokens = l.tokens[:n-1]
	}
	if len(l.tokens) == 0 {
		return Query{}, &SyntaxError{1, 1, "there is no query: write SELECT …"}
	}
	for i := range l.tokens {
		if err := l.checkToken(i); err != nil {
			return Query{}, err
		}
	}
	c := canonical(l)
	statements, err := clickhouse.NewParser(c.text).ParseStmts()
	if err != nil {
		return Query{}, c.explain(err)
	}
	if len(statements) != 1 {
		return Query{}, l.refuse(0, "one statement is taken at a time, and these are %d", len(statements))
	}
	selected, ok := statements[0].(*clickhouse.SelectQuery)
	if !ok {
		return Query{}, l.refuse(l.tokens[0].at, "only SELECT is taken")
	}
	read, err := c.tables(selected, views)
	if err != nil {
		return Query{}, err
	}
	return Query{c.text, read}, nil
}

// refusedWords are keywords after which a SELECT does more than to read, or by which a
// function can be named without a bracket. In quotes they are names.
var refusedWords = map[string]string{
	"settings": "settings cannot be changed",
	"format":   "the format is chosen beside the query, not in it",
	"into":     "a query cannot write",
	"outfile":  "a query cannot write",
	"apply":    "APPLY is not taken: name the columns",
}

// databases cannot be named: what is documented needs no name before it.
var databases = wordsOf("system information_schema default " + database)

// checkToken refuses what no query needs, whatever a parser makes of it.
func (l *lexer) checkToken(i int) error {
	t := l.tokens[i]
	previous, next := l.around(i)
	name := strings.Trim(t.text, "`")
	switch {
	case t.is(";"):
		return l.refuse(t.at, "one statement is taken at a time: there is more behind the semicolon")
	case i == 0 && !t.is("SELECT") && !t.is("WITH") && !t.is("("):
		return l.refuse(t.at, "a query begins with SELECT or WITH")
	case t.kind == word && refusedWords[strings.ToLower(name)] != "":
		return l.refuse(t.at, "%s: %s", strings.ToUpper(name), refusedWords[strings.ToLower(name)])
	case t.kind != word && t.kind != quoted:
		return nil
	case next.is(".") && !previous.is(".") && databases[strings.ToLower(name)]:
		return l.refuse(t.at, "there are no databases here: name a view alone")
	case t.is("IN"):
		return l.checkIn(i, previous)
	case next.is("(") && t.kind == quoted && !previous.is("AS"):
		return l.refuse(t.at, "a function's name has no quotes")
	case next.is("(") && t.kind == word && !mayBeCalled(name):
		return l.refuse(t.at, "%s is none of the functions that can be used here", name)
	}
	return nil
}

// around returns the tokens before and behind one.
func (l *lexer) around(i int) (previous, next token) {
	if i > 0 {
		previous = l.tokens[i-1]
	}
	if i+1 < len(l.tokens) {
		next = l.tokens[i+1]
	}
	return previous, next
}

// checkIn wants a list or a subquery behind IN: a name there would be that of a table.
func (l *lexer) checkIn(i int, previous token) error {
	t := l.tokens[i]
	operand := previous.kind != symbol && !previous.is("SELECT") && !previous.is("AND") && !previous.is("OR") && !previous.is("WHERE") ||
		previous.is(")") || previous.is("]")
	if i == 0 || !operand {
		return l.refuse(t.at, "IN stands between a value and a list")
	}
	rest := l.tokens[i+1:]
	if len(rest) < 2 || !rest[0].is("(") {
		return l.refuse(t.at, "behind IN write a list in brackets, or a subquery: IN ('a', 'b'), IN (SELECT …)")
	}
	opened := 0
	for opened < len(rest) && rest[opened].is("(") {
		opened++
	}
	if opened == len(rest) {
		return l.refuse(t.at, "the brackets behind IN have no end")
	}
	if first := rest[opened]; first.kind == quoted || first.kind == word && !inList(first) {
		if opened+1 < len(rest) && !rest[opened+1].is("(") && !rest[opened+1].is(",") {
			return l.refuse(first.at, "behind IN write values, or a subquery: a name there would be that of a table")
		}
	}
	return nil
}

// inList reports whether a word may begin what stands in brackets behind IN.
func inList(t token) bool {
	return slices.ContainsFunc([]string{"SELECT", "WITH", "NULL", "TRUE", "FALSE", "CASE", "NOT", "INTERVAL"}, t.is)
}

// A canonicalText is a query as the engine reads it, with the places in it of its tokens.
type canonicalText struct {
	*lexer
	text  string
	begin []int // of each token
}

// canonical writes the tokens with a space where there was space or a comment.
func canonical(l *lexer) canonicalText {
	c := canonicalText{lexer: l}
	var b strings.Builder
	for i, t := range l.tokens {
		if i > 0 && (t.at > l.tokens[i-1].end || t.kind != symbol && l.tokens[i-1].kind != symbol) {
			b.WriteByte(' ')
		}
		c.begin = append(c.begin, b.Len())
		b.WriteString(t.text)
	}
	c.text = b.String()
	return c
}

// refuseAt refuses what stands at a place of the canonical text.
func (c canonicalText) refuseAt(pos clickhouse.Pos, format string, args ...any) error {
	i, found := slices.BinarySearch(c.begin, int(pos))
	if !found {
		i = max(i-1, 0)
	}
	return c.refuse(c.tokens[i].at, format, args...)
}

// explain turns the parser's error into one that names the place in the query as it was
// written.
func (c canonicalText) explain(err error) error {
	if e, ok := errors.AsType[*clickhouse.ParseError](err); ok {
		message := e.Msg
		if message == "" {
			message, _, _ = strings.Cut(e.Error(), "\n")
			if _, rest, ok := strings.Cut(message, " "); ok {
				_, message, _ = strings.Cut(rest, " ") // behind "line 1:2"
			}
		}
		return c.refuseAt(e.Pos, "this is no SELECT that can be read: %s", message)
	}
	return c.refuse(0, "this is no SELECT that can be read: %s", err)
}

// tables checks every node of the tree, and returns which views are read.
func (c canonicalText) tables(tree *clickhouse.SelectQuery, views []string) ([]string, error) {
	named, err := c.namedQueries(tree, views)
	if err != nil {
		return nil, err
	}
	read := map[string]bool{}
	clickhouse.Walk(tree, func(node clickhouse.Expr) bool {
		if err != nil {
			return false
		}
		if !allowed(node) {
			err = c.refuseAt(node.Pos(), "this cannot be used here (%s)", strings.TrimPrefix(fmt.Sprintf("%T", node), "*parser."))
			return false
		}
		table, ok := node.(*clickhouse.TableIdentifier)
		if !ok {
			return true
		}
		switch name := table.Table.Name; {
		case table.Database != nil:
			err = c.refuseAt(node.Pos(), "there are no databases here: name a view alone")
		case slices.Contains(views, name):
			read[name] = true
		case !named[name]:
			err = c.refuseAt(node.Pos(), "there is no view %.100q: there are %s", name, strings.Join(views, ", "))
		}
		return true
	})
	return slices.Sorted(maps.Keys(read)), err
}

// namedQueries returns the names that WITH gives to queries. None may look like a view's.
func (c canonicalText) namedQueries(tree *clickhouse.SelectQuery, views []string) (map[string]bool, error) {
	named := map[string]bool{}
	var err error
	clickhouse.Walk(tree, func(node clickhouse.Expr) bool {
		statement, ok := node.(*clickhouse.CTEStmt)
		if !ok || err != nil {
			return err == nil
		}
		name, ok := statement.Expr.(*clickhouse.Ident)
		if _, query := statement.Alias.(*clickhouse.SelectQuery); !ok || !query {
			return true
		}
		if slices.ContainsFunc(views, func(view string) bool { return strings.EqualFold(view, name.Name) }) {
			err = c.refuseAt(node.Pos(), "%q is the name of a view: give the query another one", name.Name)
		}
		named[name.Name] = true
		return true
	})
	return named, err
}

// allowed lists the kinds of nodes that a query may have. A kind that the parser's next
// version adds is none of them.
func allowed(node clickhouse.Expr) bool {
	switch node.(type) {
	case *clickhouse.SelectQuery, *clickhouse.SubQuery, *clickhouse.SelectItem, *clickhouse.WithClause, *clickhouse.CTEStmt, *clickhouse.DistinctOn,
		*clickhouse.FromClause, *clickhouse.JoinExpr, *clickhouse.JoinTableExpr, *clickhouse.OnClause, *clickhouse.UsingClause,
		*clickhouse.JoinConstraintClause, *clickhouse.TableExpr, *clickhouse.TableIdentifier, *clickhouse.AliasExpr,
		*clickhouse.PrewhereClause, *clickhouse.WhereClause, *clickhouse.GroupByClause, *clickhouse.HavingClause,
		*clickhouse.OrderByClause, *clickhouse.OrderExpr, *clickhouse.Fill, *clickhouse.InterpolateClause, *clickhouse.InterpolateItem,
		*clickhouse.LimitClause, *clickhouse.LimitByClause:
		return true // clauses
	case *clickhouse.FunctionExpr, *clickhouse.ParamExprList, *clickhouse.ColumnArgList, *clickhouse.ColumnExprList, *clickhouse.ColumnExpr,
		*clickhouse.ArrayParamList, *clickhouse.ObjectParams, *clickhouse.WindowFunctionExpr, *clickhouse.WindowClause, *clickhouse.WindowExpr,
		*clickhouse.PartitionByClause, *clickhouse.WindowFrameClause, *clickhouse.WindowFrameExtendExpr, *clickhouse.WindowFrameCurrentRow,
		*clickhouse.WindowFrameUnbounded, *clickhouse.WindowFrameNumber, *clickhouse.BetweenClause, *clickhouse.BinaryOperation,
		*clickhouse.UnaryExpr, *clickhouse.NotExpr, *clickhouse.NegateExpr, *clickhouse.TernaryOperation, *clickhouse.IndexOperation,
		*clickhouse.OperationExpr, *clickhouse.IsNullExpr, *clickhouse.IsNotNullExpr, *clickhouse.CaseExpr, *clickhouse.WhenClause,
		*clickhouse.CastExpr, *clickhouse.ExtractExpr, *clickhouse.IntervalExpr, *clickhouse.IntervalFrom:
		return true // expressions
	case *clickhouse.Ident, *clickhouse.NestedIdentifier, *clickhouse.Path, *clickhouse.NumberLiteral, *clickhouse.StringLiteral,
		*clickhouse.BoolLiteral, *clickhouse.NullLiteral, *clickhouse.NotNullLiteral:
		return true // names and values
	case *clickhouse.ScalarType, *clickhouse.TypeWithParams, *clickhouse.ComplexType, *clickhouse.NestedType, *clickhouse.ColumnTypeExpr, *clickhouse.ColumnDef:
		return true // types
	}
	return false
}
