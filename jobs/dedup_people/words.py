"""The words that cleaning knows: titles, street and town abbreviations (USPS Publication 28), states.

Reads: nothing.
Writes: nothing.
Again: constants; no value is itself a key that maps elsewhere, which keeps cleaning idempotent.
"""

from __future__ import annotations


def _words(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


TITLES = frozenset(_words("mr mrs ms miss mx dr prof professor sir dame rev hon fr sr herr frau mme mlle"))
SUFFIXES = frozenset(_words("jr sr ii iii iv phd md dds dvm esq junior senior"))


def _pairs(text: str) -> dict[str, str]:
    """'avenue=ave' words to a dictionary."""
    return dict(pair.split("=") for pair in text.split())


STREET_WORDS = _pairs(
    "alley=aly annex=anx arcade=arc avenue=ave av=ave aven=ave avenu=ave bayou=byu beach=bch bend=bnd bluff=blf "
    "bottom=btm boulevard=blvd boul=blvd branch=br bridge=brg brook=brk burg=bg bypass=byp camp=cp canyon=cyn "
    "cape=cpe causeway=cswy center=ctr centre=ctr circle=cir circ=cir cliff=clf cliffs=clfs club=clb common=cmn "
    "corner=cor corners=cors course=crse court=ct courts=cts cove=cv creek=crk crescent=cres cres=cres crest=crst "
    "crossing=xing crossroad=xrd curve=curv dale=dl dam=dm divide=dv drive=dr driv=dr drives=drs estate=est "
    "estates=ests expressway=expy extension=ext falls=fls ferry=fry field=fld fields=flds flat=flt flats=flts "
    "ford=frd forest=frst forge=frg fork=frk forks=frks fort=ft freeway=fwy garden=gdn gardens=gdns gateway=gtwy "
    "glen=gln green=grn grove=grv harbor=hbr harbour=hbr haven=hvn heights=hts highway=hwy hill=hl hills=hls "
    "hollow=holw inlet=inlt island=is islands=iss junction=jct key=ky keys=kys knoll=knl knolls=knls lake=lk "
    "lakes=lks landing=lndg lane=ln light=lgt loaf=lf lock=lck lodge=ldg manor=mnr meadow=mdw meadows=mdws mill=ml "
    "mills=mls mission=msn motorway=mtwy mount=mt mountain=mtn neck=nck orchard=orch overpass=opas park=park "
    "parkway=pkwy passage=psge pine=pne pines=pnes place=pl plain=pln plains=plns plaza=plz point=pt points=pts "
    "port=prt ports=prts prairie=pr radial=radl ranch=rnch rapid=rpd rapids=rpds rest=rst ridge=rdg river=riv road=rd "
    "roads=rds route=rte shoal=shl shore=shr shores=shrs skyway=skwy spring=spg springs=spgs spur=spur square=sq "
    "squares=sqs station=sta stravenue=stra stream=strm street=st str=st streets=sts summit=smt terrace=ter "
    "throughway=trwy trace=trce track=trak trafficway=trfy trail=trl tunnel=tunl turnpike=tpke underpass=upas "
    "union=un valley=vly viaduct=via view=vw views=vws village=vlg ville=vl vista=vis walks=walk ways=way well=wl "
    "wells=wls north=n south=s east=e west=w northeast=ne northwest=nw southeast=se southwest=sw saint=st "
    "apartment=apt apartments=apt appartment=apt suite=ste room=rm floor=fl number=apt"
)
CITY_WORDS = _pairs("saint=st sainte=st mount=mt fort=ft")
STREET_ENDS = frozenset(STREET_WORDS.values()) - {"n", "s", "e", "w", "ne", "nw", "se", "sw", "apt", "ste", "rm", "fl"}
"""A street's name may end with one of these; used only where an address has no comma and no line break."""
UNITS = frozenset({"apt", "ste", "unit", "rm", "fl"})

STATES = {
    name.replace("_", " "): code
    for name, code in _pairs(
        "alabama=al alaska=ak arizona=az arkansas=ar california=ca colorado=co connecticut=ct delaware=de florida=fl "
        "georgia=ga hawaii=hi idaho=id illinois=il indiana=in iowa=ia kansas=ks kentucky=ky louisiana=la maine=me "
        "maryland=md massachusetts=ma michigan=mi minnesota=mn mississippi=ms missouri=mo montana=mt nebraska=ne "
        "nevada=nv new_hampshire=nh new_jersey=nj new_mexico=nm new_york=ny north_carolina=nc north_dakota=nd ohio=oh "
        "oklahoma=ok oregon=or pennsylvania=pa rhode_island=ri south_carolina=sc south_dakota=sd tennessee=tn texas=tx "
        "utah=ut vermont=vt virginia=va washington=wa west_virginia=wv wisconsin=wi wyoming=wy "
        "district_of_columbia=dc puerto_rico=pr guam=gu american_samoa=as virgin_islands=vi "
        "northern_mariana_islands=mp"
    ).items()
}
STATE_CODES = frozenset(STATES.values()) | {"aa", "ae", "ap", "fm", "mh", "pw"}
