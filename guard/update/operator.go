package update

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// operator is one update operator. What it is given was parsed by its own parse.
type operator struct {
	name  string
	parse func(path string, arg value) (any, error)
	// change is what it makes of a value that is there.
	change func(a *application, n *node, old value) (result, error)
	// create is what it makes where nothing is; nil if it leaves nothing there.
	create func(a *application, n *node) (result, error)
	// indifferent: it does not mind a path that cannot be.
	indifferent bool
	// sometimes: whether it is applied at all depends on the document, or on whether one is inserted.
	sometimes bool
	// compares says whether it compares values, which a collation would change; nil: never.
	comparing func(arg any) bool
}

// result is what an operator makes of one field.
type result struct {
	act     act
	v       value
	unknown string // why v is not it, but holds its place; v may be missing
	certain bool   // unknown, but surely another value than before
	again   bool   // the server writes the value even if it is the same
}

type act uint8

const (
	keep act = iota
	put
	drop
)

func set(v value) (result, error) { return result{act: put, v: v}, nil }

func (o *operator) compares(arg any) bool { return o.comparing != nil && o.comparing(arg) }

func always(any) bool { return true }

func verbatim(_ string, arg value) (any, error) { return arg, nil }

// moveFrom and moveTo are the two ends of $rename: what is at moveFrom was taken before anything is changed.
// Source: https://www.mongodb.com/docs/manual/reference/operator/update/rename/
var (
	moveFrom = &operator{
		name: "$rename", indifferent: true, sometimes: true,
		parse: func(path string, arg value) (any, error) {
			if !arg.is(bson.TypeString) {
				return nil, badValue("The 'to' field for $rename must be a string: %s", path)
			}
			return nil, nil
		},
		change: func(*application, *node, value) (result, error) { return result{act: drop}, nil },
	}
	moveTo = &operator{
		name: "$rename", sometimes: true,
		change: func(a *application, n *node, _ value) (result, error) { return set(a.moved[n.arg.(string)]) },
		create: func(a *application, n *node) (result, error) { return set(a.moved[n.arg.(string)]) },
	}
)

// assign is $set, and $setOnInsert.
func assign(name string, sometimes bool) *operator {
	return &operator{
		name: name, parse: verbatim, sometimes: sometimes,
		change: func(_ *application, n *node, _ value) (result, error) { return set(n.arg.(value)) },
		create: func(_ *application, n *node) (result, error) { return set(n.arg.(value)) },
	}
}

// arithmetic is $inc and $mul.
func arithmetic(name, verb string, multiply bool) *operator {
	return &operator{
		name: name,
		parse: func(path string, arg value) (any, error) {
			if !isNumber(arg.t) {
				return nil, typeMismatch("Cannot %s with non-numeric argument: {%s: %s}", verb, path, arg.name())
			}
			return arg, nil
		},
		change: func(_ *application, n *node, old value) (result, error) {
			if !isNumber(old.t) {
				return result{}, typeMismatch("Cannot apply %s to a value of non-numeric type. The field '%s' is of type %s", name, n.path, old.name())
			}
			v, err := calculate(multiply, old, n.arg.(value))
			if err != nil {
				return result{}, badValue("Failed to apply %s operations to current value for document: %v", name, err)
			}
			r := result{act: put, v: v, again: v.isNaN()}
			if v.t == old.t && compare(v, old) == 0 && !v.identical(old) && !v.isNaN() {
				// The manual does not say whether 1 becomes 1.0, and -0 becomes 0, if that is their sum.
				r.v, r.unknown = old, "whether an equal number is written in another way"
			}
			return r, nil
		},
		create: func(_ *application, n *node) (result, error) {
			if multiply {
				return set(zero(n.arg.(value).t))
			}
			return set(n.arg.(value))
		},
	}
}

// extreme is $min and $max: sign is that of the comparison by which the new value wins.
// Sources: https://www.mongodb.com/docs/manual/reference/operator/update/min/ and …/max/
func extreme(name string, sign int) *operator {
	return &operator{
		name: name, parse: verbatim, comparing: always,
		change: func(_ *application, n *node, old value) (result, error) {
			if arg := n.arg.(value); compare(arg, old)*sign > 0 {
				return set(arg)
			}
			return result{}, nil
		},
		create: func(_ *application, n *node) (result, error) { return set(n.arg.(value)) },
	}
}

// today is $currentDate: the server's clock decides.
// Source: https://www.mongodb.com/docs/manual/reference/operator/update/currentDate/
func today() *operator {
	now := func(_ *application, n *node) (result, error) {
		return result{act: put, v: n.arg.(value), unknown: "the server's clock", certain: true}, nil
	}
	return &operator{
		name: "$currentDate", create: now,
		change: func(a *application, n *node, _ value) (result, error) { return now(a, n) },
		parse: func(path string, arg value) (any, error) {
			date, timestamp := value{bson.TypeDateTime, make([]byte, 8)}, value{bson.TypeTimestamp, make([]byte, 8)}
			if arg.is(bson.TypeBoolean) {
				return date, nil
			}
			if !arg.is(bson.TypeEmbeddedDocument) {
				return nil, badValue("%s is not valid type for $currentDate. Please use a boolean ('true') or a $type expression ({$type: 'timestamp/date'}).", arg.name())
			}
			s := scan(arg.b)
			for s.more() {
				if string(s.key) != "$type" {
					return nil, badValue("Unrecognized $currentDate option: %s", s.key)
				}
			}
			switch t := lookup(arg.b, "$type"); {
			case t.is(bson.TypeString) && string(t.text()) == "date":
				return date, nil
			case t.is(bson.TypeString) && string(t.text()) == "timestamp":
				return timestamp, nil
			}
			return nil, badValue("The '$type' string field is required to be 'date' or 'timestamp': {$currentDate: {%s: {$type: 'date'}}}", path)
		},
	}
}

// bitwise is $bit.
func bitwise() *operator {
	return &operator{
		name:  "$bit",
		parse: func(path string, arg value) (any, error) { return parseBits(path, arg) },
		change: func(_ *application, n *node, old value) (result, error) {
			if _, ok := old.integer(); !ok {
				return result{}, badValue("Cannot apply $bit to a value of non-integral type. The field '%s' has the value of type %s", n.path, old.name())
			}
			return set(combine(n.arg.([]bit), old))
		},
		create: func(_ *application, n *node) (result, error) { return set(combine(n.arg.([]bit), int32Value(0))) },
	}
}

// undecided is an operator of which only the path is known.
func undecided(format string, a ...any) *operator {
	why := strings.TrimPrefix(unpredictable(format, a...).Error(), ErrNotPredictable.Error()+": ")
	return &operator{
		parse:  verbatim,
		change: func(_ *application, _ *node, old value) (result, error) { return result{unknown: why}, nil },
		create: func(*application, *node) (result, error) { return result{unknown: why}, nil },
	}
}

// foreign is an operator that is not known here: a newer server might know it.
func foreign(name string) *operator { return undecided("the operator %s", name) }

// operators are all update operators.
// Source: https://www.mongodb.com/docs/manual/reference/mql/update/
var operators = map[string]*operator{
	"$addToSet":    addition(),
	"$bit":         bitwise(),
	"$currentDate": today(),
	"$inc":         arithmetic("$inc", "increment", false),
	"$max":         extreme("$max", 1),
	"$min":         extreme("$min", -1),
	"$mul":         arithmetic("$mul", "multiply", true),
	"$pop":         pop(),
	"$pull":        pull(),
	"$pullAll":     pullAll(),
	"$push":        push(),
	"$rename":      moveFrom,
	"$set":         assign("$set", false),
	"$setOnInsert": assign("$setOnInsert", true),
	"$unset": {
		name: "$unset", parse: verbatim, indifferent: true,
		change: func(*application, *node, value) (result, error) { return result{act: drop}, nil },
	},
}

func operatorNamed(name string) *operator { return operators[name] }

// elsewhere says whether a name means something in another part of the language, or one of the operators but for its case: then no server knows it here.
func elsewhere(name string) bool {
	if parser(name) != nil || slices.Contains(otherNames, name) {
		return true
	}
	for o := range operators {
		if strings.EqualFold(o, name) {
			return true
		}
	}
	return false
}

// otherNames: operators that were removed, modifiers of operators, names of predicates, stages and expressions that are met where an update was meant.
var otherNames = []string{
	"$pushAll", "$each", "$position", "$slice", "$sort", "$isolated", "$atomic",
	"$and", "$or", "$nor", "$where", "$expr", "$text", "$jsonSchema", "$comment",
	"$addFields", "$project", "$replaceRoot", "$replaceWith", "$match", "$group", "$merge", "$out", "$lookup", "$unwind",
	"$add", "$subtract", "$multiply", "$divide", "$concat", "$cond", "$ifNull", "$concatArrays", "$literal",
}
