package console

import "strings"

// What may stand before a bracket. Everything that is not listed is refused: functions that
// read files, addresses, dictionaries, other tables or the server's settings, that wait, that
// name other functions by strings, and whatever the engine's next version adds.

var aggregates = wordsOf(`
any anyLast argMax argMin avg avgWeighted contingency corr count covarPop covarSamp cramersV entropy groupArray
groupArraySorted groupBitAnd groupBitOr groupBitXor groupUniqArray kurtPop kurtSamp max median min
quantile quantileExact quantiles quantilesExact quantilesTDigest quantileTDigest quantileExactWeighted
simpleLinearRegression skewPop skewSamp stddevPop stddevSamp stddev_pop stddev_samp sum sumMap sumWithOverflow
topK uniq uniqCombined uniqExact uniqHLL12 varPop varSamp var_pop var_samp theilsU mannWhitneyUTest studentTTest welchTTest kolmogorovSmirnovTest
rankCorr histogram`)

var scalars = wordsOf(`
abs and ceil ceiling cos exp exp2 exp10 floor greatest intDiv intDivOrZero isFinite isInfinite isNaN least ln log log1p log2 log10
minus mod modulo multiply negate or pi plus pow power round roundBankers sign sin sqrt tan divide not xor trunc
bitAnd bitOr bitXor bitNot bitShiftLeft bitShiftRight bitCount
equals notEquals less lessOrEquals greater greaterOrEquals
assumeNotNull coalesce if ifNull isNotNull isNull multiIf nullIf toNullable
toBool toDate toDateTime toDateTime64 toDecimal32 toDecimal64 toFixedString toFloat32 toFloat64 toInt8 toInt16 toInt32 toInt64
toInt128 toString toTypeName toUInt8 toUInt16 toUInt32 toUInt64 toUInt128 toFloat64OrNull toInt64OrNull toUInt64OrNull toFloat64OrZero toUInt64OrZero cast extract
addDays addHours addMinutes addMonths addSeconds addWeeks addYears age dateAdd dateDiff date_diff dateName date_trunc dateTrunc
formatDateTime fromUnixTimestamp makeDate now parseDateTimeBestEffort subtractDays subtractHours subtractMonths timeDiff
toDayOfMonth toDayOfWeek toDayOfYear toHour toISOWeek toISOYear toMinute toMonday toMonth toQuarter toRelativeDayNum toSecond
toStartOfDay toStartOfFifteenMinutes toStartOfHour toStartOfInterval toStartOfMinute toStartOfMonth toStartOfQuarter
toStartOfWeek toStartOfYear toUnixTimestamp toUnixTimestamp64Milli toWeek toYear toYYYYMM toYYYYMMDD today yesterday toTimeZone
base64Encode char concat concatWithSeparator countSubstrings empty endsWith extractAll extractGroups format_bytes
formatReadableQuantity formatReadableSize formatReadableTimeDelta hex ilike initcap left leftPad length lengthUTF8 like lower lowerUTF8 match
multiSearchAny notEmpty notLike position regexpExtract repeat replace replaceAll replaceOne replaceRegexpAll replaceRegexpOne
reverse right rightPad splitByChar splitByRegexp splitByString startsWith substr substring substringUTF8 trim
trimBoth trimLeft trimRight unhex upper upperUTF8 levenshteinDistance editDistance jaroWinklerSimilarity hammingDistance
array arrayAll arrayAvg arrayCompact arrayConcat arrayCount arrayCumSum arrayDifference arrayDistinct arrayElement arrayEnumerate
arrayEnumerateUniq arrayExists arrayFilter arrayFirst arrayFirstIndex arrayFlatten arrayIntersect arrayJoin arrayLast arrayMap arrayMax arrayMin
arrayPopBack arrayPopFront arrayProduct arrayReverse arrayReverseSort arraySlice arraySort arrayStringConcat arraySum arrayUniq arrayZip arrayJaccardIndex
has hasAll hasAny indexOf countEqual range tuple tupleElement untuple map mapContains mapFromArrays mapKeys mapValues
cityHash64 sipHash64 xxHash64 SHA256 MD5
bar width_bucket widthBucket transform neighbor runningAccumulate
dense_rank denseRank first_value lag lagInFrame last_value lead leadInFrame nth_value ntile percent_rank rank row_number
grouping exists`)

// types may stand before a bracket where one is named: after ::, and in CAST.
var types = wordsOf(`Array DateTime DateTime64 Decimal Decimal32 Decimal64 FixedString LowCardinality Map Nullable Tuple`)

// beforeBracket are the keywords that a bracket may follow.
var beforeBracket = wordsOf(`
all and any as asc between by case desc distinct else end except exists from having ilike in intersect interval join like limit not
offset on or over partition prewhere replace select then to union using when where with fill interpolate step rows range preceding following filter qualify values`)

// combinators are what the name of an aggregate function may end in.
var combinators = []string{"if", "ornull", "ordefault", "array", "distinct"}

func wordsOf(list string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(list) {
		set[strings.ToLower(word)] = true
	}
	return set
}

// mayBeCalled reports whether a name may stand before a bracket.
func mayBeCalled(name string) bool {
	name = strings.ToLower(name)
	if scalars[name] || types[name] || beforeBracket[name] {
		return true
	}
	for !aggregates[name] {
		base, found := name, false
		for _, c := range combinators {
			if base, found = strings.CutSuffix(name, c); found {
				break
			}
		}
		if !found {
			return false
		}
		name = base
	}
	return true
}
