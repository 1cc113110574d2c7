use super::*;

/// ISO 3166-1 alpha-2, and XK.
const CODES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT \
    BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ \
    FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS \
    IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN \
    MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW \
    PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN \
    TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

#[test]
fn every_outline_has_the_code_of_a_country_and_no_country_has_two() {
    let known: HashSet<CountryCode> =
        CODES.split_whitespace().map(|code| code.parse().unwrap()).collect();
    assert_eq!(known.len(), 250);
    let unknown: Vec<_> = DRAWN.iter().filter(|code| !known.contains(code)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert_eq!(WORLD.content.matches("<path").count(), DRAWN.len());
    assert_eq!(WORLD.content.matches("<path id=\"").count(), DRAWN.len());
    // Small ones that host many attackers are there.
    for code in ["DE", "US", "HK", "SG", "TW", "XK"] {
        assert!(DRAWN.contains(&code.parse().unwrap()), "{code}");
    }
}

#[test]
fn the_map_is_small_and_holds_nothing_but_outlines() {
    assert!(WORLD.content.len() < 48 * 1024, "{} bytes", WORLD.content.len());
    let elements: HashSet<&str> = WORLD
        .content
        .split('<')
        .skip(1)
        .map(|rest| rest.split([' ', '>', '\n']).next().unwrap_or_default())
        .collect();
    assert_eq!(elements, HashSet::from(["svg", "g", "path", "/g", "/svg"]));
    for forbidden in ["script", "style", " on", "href", "&"] {
        assert!(!WORLD.content.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn shades_grow_by_equal_factors_and_every_number_has_one() {
    assert_eq!(bounds(1_000), [4, 16, 64, 256, 1_000]);
    assert_eq!(bounds(6), [2, 4, 6]);
    assert_eq!(bounds(1), [1]);
    assert_eq!(bounds(0), [1]);
    assert_eq!(ranges(&bounds(6)).collect::<Vec<_>>(), [(1, 2), (3, 4), (5, 6)]);
    let bounds = bounds(1_000);
    for (proved, expected) in [(0, 0), (1, 1), (4, 1), (5, 2), (257, 5), (1_000, 5)] {
        assert_eq!(shade(proved, &bounds), expected, "{proved}");
    }
}
